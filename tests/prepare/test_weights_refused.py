"""What no checkpoint of DinoGRL is made of: files that do not fit, damaged or hostile ones."""

import re
import resource

import pytest
import torch
from published_files import (
    NAMES,
    Hostile,
    filled,
    published,
    refused,
    vit,
    write_published,
)

from opengait_ext.pretrained.run import main


@pytest.fixture
def states():
    return published()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "name", "shape"),
    [
        ("model", "share_encoder.resnet_conv.2.5.conv2.weight", "[256, 256, 3, 3]"),
        ("attention", "enhance_shape_net_3.W2.1.running_var", "[1]"),
        ("shape", "dinov2.Appearance_Branch.bn_t.running_mean", "[16]"),
        ("shape", "dinov2.dinov2.blocks.7.mlp.fc1.weight", "[1536, 384]"),
        ("shape", "dinov2.dinov2.cls_token", "[1, 1, 384]"),
    ],
)
def test_a_renamed_tensor_is_refused_under_both_names(
    states, tmp_path, capsys, option, name, shape
):
    states[option][f"{name}_new"] = states[option].pop(name)
    said = refused(write_published(tmp_path, states), capsys)
    head = f"--{option}: {tmp_path / NAMES[option]} does not fit DinoGRLReleased (2):"
    assert said.strip().splitlines() == [
        head,
        f"  {name}_new: {shape} in the file, no such tensor expected",
        f"  {name}: not in the file, {shape} expected",
        "Nothing was written.",
    ]


@pytest.mark.slow
def test_parts_of_another_number_are_refused_with_both_shapes(states, tmp_path, capsys):
    for option, prefix in (("model", ""), ("shape", "dinov2.gait_net.")):
        states[option][f"{prefix}FCs.fc_bin"] = torch.ones(1).expand(62, 2048, 256)
    lines = refused(write_published(tmp_path, states), capsys).splitlines()
    shapes = "[62, 2048, 256] in the file, [31, 2048, 256] expected"
    assert f"  FCs.fc_bin: {shapes}" in lines
    assert f"  dinov2.gait_net.FCs.fc_bin: {shapes}" in lines
    assert len(lines) == 6


@pytest.mark.slow
def test_what_does_not_fit_is_counted_and_twenty_lines_of_all_files_are_named(
    states, tmp_path, capsys
):
    gone = [name for name in states["model"] if re.search(r"\.bn\d\.", name)]
    for name in gone:
        del states["model"][name]
    states["attention"]["extra.weight"] = torch.ones(2, 3)
    states["shape"]["dinov2.dinov2.norm.bias"] = torch.ones(385)
    states["shape"]["dinov2.dinov2.pos_embed"] = torch.ones(())
    said = refused(write_published(tmp_path, states), capsys)
    assert len(gone) > 200
    assert f"best_model.pth does not fit DinoGRLReleased ({len(gone)}):" in said
    for name in gone[:17]:
        assert f"  {name}: not in the file, [" in said
    assert said.count("not in the file") == 17  # and three of the other files
    assert f"  ... and {len(gone) - 17} more" in said
    assert "  extra.weight: [2, 3] in the file, no such tensor expected" in said
    assert "  dinov2.dinov2.norm.bias: [385] in the file, [384] expected" in said
    assert "  dinov2.dinov2.pos_embed: [] in the file, [1, 1370, 384] expected" in said


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
def test_a_value_that_is_no_number_is_refused_unless_it_is_left_out(
    states, tmp_path, capsys, wrong
):
    values = torch.ones(64)
    values[40] = wrong
    states["model"]["image_encoder2.resnet_conv.1.running_var"] = values
    said = refused(write_published(tmp_path, states), capsys)
    assert "  image_encoder2.resnet_conv.1.running_var: holds NaN or infinity" in said
    states["model"]["image_encoder2.resnet_conv.1.running_var"] = torch.ones(64)
    states["model"]["share_encoder.GAP.p"] = torch.tensor([wrong])
    assert main(write_published(tmp_path, states)) == 0


@pytest.mark.slow
def test_a_tensor_without_plain_numbers_is_refused(states, tmp_path, capsys):
    for wrong, name in (
        (torch.ones(64).to_sparse(), "torch._utils._rebuild_sparse_tensor"),
        (torch.ones(64, device="meta"), "torch._utils._rebuild_meta_tensor_no_storage"),
    ):
        states["model"]["image_encoder2.resnet_conv.1.bias"] = wrong
        said = refused(write_published(tmp_path, states), capsys)
        assert f"nothing was run: it asks for {name}" in said


def test_files_in_the_wrong_places_are_told_where_they_belong(states, tmp_path, capsys):
    states["model"], states["shape"] = states["shape"], states["model"]
    states["attention"] = filled(vit(width=8, depth=2, grid=4))
    lines = refused(write_published(tmp_path, states), capsys).strip().splitlines()
    assert lines == [
        f"--model: {tmp_path / 'best_model.pth'} looks like best_shape.pth of DinoGRL's authors "
        "(gait and DINOv2), the file for --shape; expected best_model.pth of DinoGRL's authors "
        "(appearance)",
        f"--attention: {tmp_path / 'best_model2.pth'} looks like DINOv2, Meta's names; expected "
        "best_model2.pth of DinoGRL's authors (attention, PBMGE)",
        f"--shape: {tmp_path / 'best_shape.pth'} looks like best_model.pth of DinoGRL's authors "
        "(appearance), the file for --model; expected best_shape.pth of DinoGRL's authors "
        "(gait and DINOv2)",
        "Nothing was written.",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("option", NAMES)
def test_a_file_that_would_run_code_is_refused_and_does_not_run(states, tmp_path, capsys, option):
    command = write_published(tmp_path, states)
    made = tmp_path / "made"
    torch.save(states[option] | {"x": Hostile(str(made))}, tmp_path / NAMES[option])
    said = refused(command, capsys)
    assert f"--{option}: {tmp_path / NAMES[option]}: refused, and nothing was run" in said
    assert main(["check", str(tmp_path / NAMES[option])]) == 1
    assert "refused, and nothing was run: it asks for posix.mkdir" in capsys.readouterr().err
    assert not made.exists()


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.99])
def test_a_truncated_file_is_refused(states, tmp_path, capsys, kept):
    command = write_published(tmp_path, states)
    path = tmp_path / NAMES["shape"]
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    assert f"--shape: {path} ({path.stat().st_size:,} bytes) cannot be read" in refused(
        command, capsys
    )


def test_a_page_of_text_a_folder_and_nothing_are_refused(states, tmp_path, capsys):
    command = write_published(tmp_path, states)
    path = tmp_path / NAMES["attention"]
    path.write_text("<html>Sign in to see this file</html>")
    assert "cannot be read as a file of torch.save" in refused(command, capsys)
    path.unlink()
    assert f"--attention: no file at {path}" in refused(command, capsys)
    path.mkdir()
    assert f"--attention: no file at {path}" in refused(command, capsys)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"state_dict": {"a": torch.ones(1)}}, "these are none: state_dict"),
        ({3: torch.ones(1)}, "these are none: 3"),
        ([torch.ones(1)], "the file holds a list"),
        ({}, "the file holds: nothing"),
    ],
)
def test_a_file_of_another_form_says_what_it_holds(states, tmp_path, capsys, content, said):
    command = write_published(tmp_path, states)
    torch.save(content, tmp_path / NAMES["model"])
    assert said in refused(command, capsys)


@pytest.fixture
def small_disk():
    """Lets files grow to 64 KiB at most, as if the disk was full; gives the switch."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (65536, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.slow
def test_a_full_disk_leaves_the_older_file(states, tmp_path, capsys, small_disk):
    command = write_published(tmp_path, states)
    files = sorted(path.name for path in tmp_path.iterdir())
    small_disk()
    assert f"--target: {tmp_path / 'out.pt'} could not be written" in refused(command, capsys)
    (tmp_path / "out.pt").write_text("older")
    assert main(command) == 1
    assert "the older file is as it was. Free some space" in capsys.readouterr().err
    assert (tmp_path / "out.pt").read_text() == "older"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*files, "out.pt"])


@pytest.mark.slow
def test_a_place_that_cannot_be_written_is_named(states, tmp_path, capsys):
    command = write_published(tmp_path, states)
    (tmp_path / "out.pt").mkdir()
    assert main(command) == 1
    assert "out.pt could not be written (IsADirectoryError" in capsys.readouterr().err
    command[-1] = str(tmp_path / "best_model.pth" / "out.pt")
    assert "Error: [Errno" in refused(command, capsys)


def test_no_file_that_is_read_is_written_over(states, tmp_path, capsys):
    command = write_published(tmp_path, states)
    before = (tmp_path / "best_model.pth").read_bytes()
    command[-1] = str(tmp_path / ".." / tmp_path.name / "best_model.pth")
    assert main(command) == 1
    assert "is the file of --model; give another" in capsys.readouterr().err
    assert (tmp_path / "best_model.pth").read_bytes() == before


@pytest.mark.slow
def test_a_stopped_import_leaves_nothing_behind(states, tmp_path, capsys, monkeypatch):
    def stopped(content, path):
        path.write_text("half")
        raise KeyboardInterrupt

    command = write_published(tmp_path, states)
    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr(torch, "save", stopped)
    assert main(command) == 130
    assert "nothing was written" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["import-dinogrl", "--model", "a.pth"],
        ["import-dinogrl", "--model=a", "--attention=b", "--shape=c", "--target=checkpoint"],
        ["check"],
    ],
)
def test_a_misused_command_line_ends_with_status_2(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main(command)
    assert stop.value.code == 2
    assert "usage" in capsys.readouterr().err
