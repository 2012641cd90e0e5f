import numpy as np
import pytest
import torch
import toy_run

from opengait_ext.report import page as pages
from opengait_ext.report.gait_maps import checkpoint_of, side_by_side
from opengait_ext.report.page import make_page, map_members
from opengait_ext.report.projection import principal_components, project
from opengait_ext.report.ranking import ReportError
from opengait_ext.report.thumbnails import encoded


def test_the_components_keep_distances_and_fall_in_variance():
    flat = np.random.default_rng(0).normal(size=(12, 40)) * np.linspace(3, 1, 40)
    found, shares = principal_components(flat, 12)
    between = np.linalg.norm(flat[:, None] - flat, axis=2)
    np.testing.assert_allclose(np.linalg.norm(found[:, None] - found, axis=2), between, atol=1e-6)
    assert shares.sum() == pytest.approx(1)
    assert (np.diff(shares) <= 1e-12).all()


def test_the_map_says_how_it_was_made_and_lies_in_the_unit_square():
    points, method = project(np.random.default_rng(0).normal(size=(20, 4, 3)), "cosine")
    assert points.shape == (20, 2)
    assert points.min() >= -1e-9
    assert points.max() <= 1 + 1e-9
    assert method.startswith(("PCA", "t-SNE (scikit-learn"))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_very_few_embeddings_have_a_map(count):
    assert project(np.ones((count, 2, 2)), "euclidean").points.shape == (count, 2)


def test_a_map_of_too_many_tracklets_shows_whole_identities():
    tracklets = toy_run.partition_of().tracklets
    chosen = map_members(tracklets, range(36), 20)
    assert len(chosen) == 18
    counts = {tracklets[place].pid for place in chosen}
    assert len(counts) == 3
    assert map_members(tracklets, range(36), 36) == list(range(36))


def test_silhouette_and_gait_map_stand_side_by_side():
    silhouette = torch.zeros(1, 4, 2)
    silhouette[0, 1] = 1
    gait = torch.zeros(6, 4, 2)
    gait[5, 2, 1] = 1  # of the last third of the channels: blue
    found = side_by_side(silhouette, gait)
    assert found.shape == (4, 4, 3)
    assert found[1, :2].tolist() == [[255] * 3] * 2
    assert found[2, 3].tolist() == [0, 0, 255]
    assert found.sum() == 2 * 3 * 255 + 255


def test_maps_without_their_checkpoint_are_refused(sources):
    with pytest.raises(ReportError, match=r"toy-00010\.pt: the tested checkpoint is not there"):
        checkpoint_of(sources)


@pytest.mark.slow
def test_given_maps_stand_on_the_page_within_their_budget(sources):
    asked = []

    def maps(wanted, budget):
        asked.append((list(wanted), budget))
        return {wanted[0]: encoded(np.zeros((8, 8, 3), np.uint8), 8)}

    text = make_page(sources, 3, maps=maps)
    ((wanted, budget),) = asked
    assert list(toy_run.data_of(text)["maps"]) == [str(wanted[0])]
    assert 0 < budget < pages.LIMIT
    assert "for 1 tracklets" in text
