"""Changes of the command line against the keys that a config may hold."""

from pathlib import Path

import pytest
from engine_parts import CATALOG, changed, make_config

from opengait_ext.config import Change, ConfigError, apply_changes
from opengait_ext.engine.keys import accepted_at, parts_of, written

CONFIG = make_config(Path("data"))
DOTTED = {"loss_cfg.1.log_prefix": "of.parts"}


def set_in(config, *changes):
    """Return the config with changes of the command line."""
    result = changed(config, {})
    apply_changes(result, changes, lambda now, place: accepted_at(now, CATALOG, place))
    return result


@pytest.mark.parametrize(
    ("change", "place", "value"),
    [
        ("trainer_cfg.compile=auto", ("trainer_cfg", "compile"), "auto"),
        ("model_cfg.channels=8", ("model_cfg", "channels"), 8),
        ("data_cfg.stream=other", ("data_cfg", "stream"), "other"),
        ("evaluator_cfg.ranks=[1]", ("evaluator_cfg", "ranks"), [1]),
        ("evaluator_cfg.note=smoke", ("evaluator_cfg", "note"), "smoke"),
        ("scheduler_cfg.iterations_per_epoch=9", ("scheduler_cfg", "iterations_per_epoch"), 9),
        ("optimizer_cfg.amsgrad=true", ("optimizer_cfg", "amsgrad"), True),
        ("loss_cfg.0.label_smoothing=0.1", ("loss_cfg", 0, "label_smoothing"), 0.1),
        ("loss_cfg.id.label_smoothing=0.1", ("loss_cfg", 0, "label_smoothing"), 0.1),
        ("trainer_cfg.transform.1.value=3", ("trainer_cfg", "transform", 1, "value"), 3),
    ],
)
def test_a_key_that_the_file_leaves_out_can_be_set(change, place, value):
    found = set_in(CONFIG, change)
    for word in place:
        found = found[word]
    assert found == value


def test_a_loss_is_addressed_by_its_log_prefix_also_one_with_dots():
    config = changed(CONFIG, DOTTED)
    assert set_in(config, "loss_cfg.of.parts.margin=0.7")["loss_cfg"][1]["margin"] == 0.7
    assert set_in(CONFIG, "loss_cfg.triplet.loss_term_weight=0")["loss_cfg"][1] == {
        **CONFIG["loss_cfg"][1],
        "loss_term_weight": 0,
    }


def test_the_entries_of_an_optimizer_are_addressed_by_position():
    entry = CONFIG["optimizer_cfg"]
    config = changed(CONFIG, {"optimizer_cfg": [{**entry, "match": ["classifier."]}, entry]})
    found = set_in(config, "optimizer_cfg.0.match=[head.]", "optimizer_cfg.1.amsgrad=true")
    assert found["optimizer_cfg"] == [{**entry, "match": ["head."]}, {**entry, "amsgrad": True}]


def test_the_keys_of_a_re_ranking_are_those_of_its_type():
    config = set_in(CONFIG, "evaluator_cfg.rerank={type: temporal}", "evaluator_cfg.rerank.k1=7")
    assert config["evaluator_cfg"]["rerank"] == {"type": "temporal", "k1": 7}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("trainer_cfg.compil=auto", "trainer_cfg has no key 'compil' - did you mean 'compile'?"),
        ("model_cfg.chanels=8", "model_cfg has no key 'chanels' - did you mean 'channels'?"),
        ("loss_cfg.triplets.margin=1", "no entry 'triplets' - did you mean 'triplet'?"),
        ("loss_cfg.id.margin=1", r"loss_cfg.0 has no key 'margin' - known: type, log_prefix"),
        ("optimizer_cfg.0.lr=1", "no key '0'"),
        ("evaluator_cfg.dataset=x", "no key 'dataset'"),
        ("trainer_cfg.sampler.seed=1", "no key 'seed'"),
        ("evaluator_cfg.rerank.k1=3", "has no key 'k1'"),
        ("zoo_cfg.x=1", "the config file has no key 'zoo_cfg'"),
    ],
)
def test_a_key_of_no_schema_is_refused_with_the_nearest(change, message):
    with pytest.raises(ConfigError, match=message):
        set_in(CONFIG, change)


def test_a_prefix_that_is_the_number_of_another_entry_is_refused():
    config = changed(CONFIG, {"loss_cfg.1.log_prefix": "0"})
    with pytest.raises(ConfigError, match=r"'0' is the entries \[0\] and \[1\]; give one by"):
        set_in(config, "loss_cfg.0.loss_term_weight=0")


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        (("trainer_cfg.seed=4", Change("trainer_cfg.seed", 5, "--seed 5")), "--seed 5"),
        (("loss_cfg.0.scale=2", "loss_cfg.id.scale=3"), "--set loss_cfg.id.scale=3"),
        (("loss_cfg.0={scale: 2}", "loss_cfg.0.scale=3"), "--set loss_cfg.0.scale=3"),
        (("trainer_cfg.total_iter=3", "trainer_cfg={}"), "--set trainer_cfg={}"),
    ],
)
def test_two_different_values_for_one_key_are_refused(changes, options):
    with pytest.raises(ConfigError) as error:
        set_in(CONFIG, *changes)
    assert str(error.value) == (
        f"--set {changes[0]} and {options} give different values to one key; leave one of them out"
    )


def test_the_same_value_may_be_given_twice():
    given = Change("trainer_cfg.seed", 5, "--seed 5")
    assert set_in(CONFIG, "trainer_cfg.seed=5", given)["trainer_cfg"]["seed"] == 5


def test_every_mapping_of_a_config_is_found():
    assert [written(part.place) for part in parts_of(CONFIG, CATALOG)] == [
        "model_cfg", "loss_cfg[0]", "loss_cfg[1]", "optimizer_cfg", "scheduler_cfg", "data_cfg",
        "data_cfg.prepare", "trainer_cfg", "evaluator_cfg", "trainer_cfg.sampler",
        "trainer_cfg.transform[0]", "trainer_cfg.transform[1]", "trainer_cfg.transform[2]",
        "trainer_cfg.transform[3]", "evaluator_cfg.sampler", "evaluator_cfg.transform[0]",
    ]  # fmt: skip
