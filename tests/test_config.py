from typing import Literal

import pytest

from opengait_ext.config import ConfigError, bind, bind_model, build, load_config
from opengait_ext.registry import Registry
from opengait_ext.schema import NEEDED, Key


class TrackletSampler:
    def __init__(
        self, dataset: tuple, identities: int, visible: int = 4, rule: Literal["a", "b"] = "a"
    ):
        self.arguments = (dataset, identities, visible, rule)

    def build(self, *, width: int = 2):
        self.width = width


SAMPLERS = Registry("sampler", [TrackletSampler])
WHERE = "trainer_cfg.sampler"


def written(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return path


def test_a_section_becomes_the_component_it_names():
    section = {"type": "TrackletSampler", "identities": 8}
    assert build(SAMPLERS, section, where=WHERE, dataset="d").arguments == ("d", 8, 4, "a")


def test_all_faults_of_a_section_are_named_at_once_with_the_nearest_key():
    section = {"type": "TrackletSampler", "identites": 8}
    with pytest.raises(ConfigError) as error:
        build(SAMPLERS, section, where=WHERE, dataset=())
    assert str(error.value) == (
        "trainer_cfg.sampler (TrackletSampler):\n"
        "  unknown key 'identites' - did you mean 'identities'?\n"
        "  missing key 'identities'"
    )


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'TrackletSampler'"):
        build(SAMPLERS, {"type": "TrackletSamplr"}, where=WHERE, dataset=())


def refusal(section, bind_it=bind, **how):
    with pytest.raises(ConfigError) as error:
        bind_it(SAMPLERS, section, **how)
    return str(error.value)


def test_a_section_without_a_name_says_which_names_there_are():
    assert refusal({"identities": 8}, where=WHERE) == (
        "trainer_cfg.sampler: missing key 'type' (known: TrackletSampler)"
    )


def test_a_section_that_is_no_mapping_is_refused():
    assert refusal([1], where=WHERE) == "trainer_cfg.sampler: expected keys and values, found [1]"


def test_a_name_that_is_no_text_is_refused():
    assert refusal({"type": ["a"]}, where=WHERE) == (
        "trainer_cfg.sampler.type: expected a name, found ['a']"
    )


def test_the_schema_of_a_model_is_its_build():
    section = {"model": "TrackletSampler", "widht": 3}
    assert refusal(section, bind_model) == (
        "model_cfg (TrackletSampler):\n  unknown key 'widht' - did you mean 'width'?"
    )


def test_a_bound_section_is_built_with_what_it_asks_for_of_what_is_offered():
    section = {"type": "TrackletSampler", "identities": 8}
    bound = bind(SAMPLERS, section, where=WHERE, given=("dataset",))
    assert (bound.name, bound.where) == ("TrackletSampler", WHERE)
    assert bound.arguments == {"identities": 8}
    assert bound(dataset="d", seed=3).arguments == ("d", 8, 4, "a")
    assert bound(dataset="d", identities=9).arguments == ("d", 8, 4, "a")  # the config decides


def test_keys_that_the_host_reads_itself_are_checked_and_kept_aside():
    own = {"frames": Key(int, NEEDED), "visible": Key(int, NEEDED)}
    section = {"type": "TrackletSampler", "identities": 8, "visible": 2}
    how = {"where": WHERE, "given": ("dataset",), "own": own}
    assert "missing key 'frames'" in refusal(section, **how)
    bound = bind(SAMPLERS, {**section, "frames": 6}, **how)
    assert bound.own == {"frames": 6, "visible": 2}
    assert bound.arguments == {"identities": 8, "visible": 2}  # which it asks for itself


def test_a_number_that_yaml_reads_as_text_is_refused_with_the_fix(tmp_path):
    path = written(tmp_path, "optimizer_cfg: {lr: 3e-4, decay: [5E4, 1.0e-4]}\n")
    with pytest.raises(ConfigError) as error:
        load_config(path)
    assert str(error.value) == (
        f"{path}:\n"
        "  optimizer_cfg.lr: YAML reads 3e-4 as text - write 3.0e-4\n"
        "  optimizer_cfg.decay[0]: YAML reads 5E4 as text - write 5.0e+4"
    )


def test_a_number_in_quotes_is_meant_as_text(tmp_path):
    path = written(tmp_path, 'trainer_cfg: {save_name: "2024"}\n')
    assert load_config(path)["trainer_cfg"] == {"save_name": "2024"}


def test_a_key_that_is_there_twice_is_refused(tmp_path):
    path = written(tmp_path, "data_cfg:\n  root: a\n  root: b\n")
    with pytest.raises(ConfigError, match=r"the key \['root'\] is there twice"):
        load_config(path)


def test_a_missing_file_and_a_file_that_is_no_config_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="there is no such config file"):
        load_config(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_config(written(tmp_path, "a: [1\n"))
    with pytest.raises(ConfigError, match="expected sections"):
        load_config(written(tmp_path, "just text\n"))


def test_a_change_sets_one_value_also_inside_a_list(tmp_path):
    path = written(tmp_path, "loss_cfg:\n  - {margin: 0.2}\ntrainer_cfg: {total_iter: 5}\n")
    config = load_config(path, ["loss_cfg.0.margin=0.3", "trainer_cfg.total_iter=7"])
    assert config == {"loss_cfg": [{"margin": 0.3}], "trainer_cfg": {"total_iter": 7}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("trainer_cfg.total_itr=7", "no key 'total_itr' - did you mean 'total_iter'"),
        ("trainer.total_iter=7", "did you mean 'trainer_cfg'"),
        ("loss_cfg.3.margin=1.0", "no entry '3' - known: 0"),
        ("loss_cfg.².margin=1.0", "no entry '²' - known: 0"),
        ("trainer_cfg.total_iter.x=1", "what stands before 'x' is 5, without keys"),
        ("trainer_cfg.total_iter", "expected section.key=value"),
        ("trainer_cfg.total_iter=1e3", "write 1.0e\\+3"),
    ],
)
def test_a_change_of_what_is_not_there_is_refused(tmp_path, change, message):
    path = written(tmp_path, "loss_cfg:\n  - {margin: 0.2}\ntrainer_cfg: {total_iter: 5}\n")
    with pytest.raises(ConfigError, match=message):
        load_config(path, [change])
