"""Settings of learners: from a file or variables to the learner itself, and how wrong ones are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from models.contenders import CONTENDERS, new_learner, settings_of
from models.trainer import Trainer
from models.trainer_config import TrainerConfig
from streams.settings import Settings, SettingsError, load
from streams.tuned_file import tuned_file

if TYPE_CHECKING:
    from pathlib import Path


def settings(path: Path, content: str) -> Settings:
    path.write_text(content)
    return load(path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "shop.toml"


def test_a_table_has_the_arguments_of_the_constructor_and_its_defaults():
    tables = load().model.learners.model_dump()

    assert tables.keys() == CONTENDERS.keys()
    for name, table in tables.items():
        assert table == {key: each.default for key, each in settings_of(name).items()}
    assert tables["additive"]["memory_days"] == 140.0
    assert not {"columns", "offset", "treatment"} & tables["additive"].keys()


def test_nothing_set_is_nothing_changed():
    assert load().trainer() == TrainerConfig(12)


def test_what_is_set_reaches_the_learner(file: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CHURNWATCH_MODEL__LEARNERS__ADDITIVE__EVIDENCE", "0.5")
    found = settings(file, "[model.learners.additive]\nknots = [-1, 1]\nprior_variance = 0.02\n")

    learner = Trainer(found.trainer()).learners["additive"]

    same = new_learner("additive", knots=(-1.0, 1.0), prior_variance=0.02, evidence=0.5)
    assert learner.state() == same.state()
    assert found.trainer().settings["additive"] == {
        "knots": (-1.0, 1.0),
        "prior_variance": 0.02,
        "evidence": 0.5,
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[model.learners.additive]\nknot = [1]", "model.learners.additive.knot: Extra inputs"),
        ("[model.learners.oracle]\nrate = 1", "model.learners.oracle: Extra inputs"),
        ("[model.learners.additive]\nevidence = 2", "model.learners.additive: prior variance, evidence"),
        ("[model.learners.logistic]\nrate = nan", "model.learners.logistic.rate: Input should be a finite"),
        ("[model.learners.logistic]\nrate = -1", "model.learners.logistic: rate must not be negative"),
        (
            "[model.learners.logistic]\noptimiser = 'adam'",
            "model.learners.logistic.optimiser: Extra inputs",
        ),
        (
            "[model.learners.hoeffding_tree]\nmax_depth = 2.5",
            "model.learners.hoeffding_tree.max_depth: Input",
        ),
        ("[model.learners.return_probability]\nx = 1", "model.learners.return_probability.x: Extra inputs"),
    ],
)
def test_what_a_learner_cannot_have_is_said_in_one_line(file: Path, content: str, said: str):
    with pytest.raises(SettingsError) as caught:
        settings(file, content)

    (line,) = str(caught.value).splitlines()
    assert line.startswith(said)


class TestTunedFile:
    CHOSEN: ClassVar = {"additive": {"knots": (-1.0, 1.0), "evidence": 0.5}}

    def test_it_gives_the_learner_that_was_found(self, file: Path):
        found = settings(file, tuned_file(None, load().model, self.CHOSEN, ["a note"]))

        assert Trainer(found.trainer()).learners["additive"].state() == (
            new_learner("additive", **self.CHOSEN["additive"]).state()
        )
        assert found.trainer().contenders == load().trainer().contenders
        assert "# a note\n" in file.read_text()

    def test_it_asks_what_the_search_asked(self, file: Path):
        asked = load(None, model={"horizon_days": 90, "every_days": 7, "active_within_days": 180}).model
        found = settings(file, tuned_file(None, asked, {}, []))

        assert (found.model.horizon_days, found.model.every_days, found.model.active_within_days) == (
            90,
            7,
            180,
        )
        assert found.trainer().settings == {}

    def test_a_learner_that_did_not_contend_does(self, file: Path):
        found = settings(file, tuned_file(None, load().model, {"linear_svm": {"rate": 0.01}}, []))

        assert found.trainer().contenders == (*load().trainer().contenders, "linear_svm")

    def test_the_shops_own_file_keeps_its_settings_and_comments(self, file: Path):
        base = file.with_name("base.toml")
        model = "[model]\nmin_labels = 7\n[model.learners.additive]\nmemory_days = 70  # ten weeks\n"
        before = settings(base, f"# ours\n[kafka]\ngroup = 'shop'\n\n{model}")

        found = settings(file, tuned_file(base, before.model, self.CHOSEN, ["a note"]))

        assert (found.kafka.group, found.model.min_labels) == ("shop", 7)
        assert found.trainer().settings["additive"] == {
            "memory_days": 70.0,
            "knots": (-1.0, 1.0),
            "evidence": 0.5,
        }
        assert "# ours" in file.read_text()
        assert "# ten weeks" in file.read_text()

    def test_tuned_again_it_has_only_the_newest_notes(self, file: Path):
        first = settings(file, tuned_file(None, load().model, self.CHOSEN, ["an old note"]))

        again = tuned_file(file, first.model, {"additive": {"evidence": 0.7}}, ["a new note"])

        assert "old" not in again
        assert again.count("# a new note") == 1
        assert settings(file, again).trainer().settings["additive"] == {"knots": (-1.0, 1.0), "evidence": 0.7}
