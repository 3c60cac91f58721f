"""``dim study score`` on files of participants."""

import json

from dimcli.evaluation.study import new_study
from tests.cli.conftest import Dim
from tests.study_results import complete_results


def test_a_study_is_scored_who_is_excluded_is_listed_and_other_files_are_refused(
    dim: Dim, tmp_path
):
    study = new_study(["A", "B"], ["one", "two"], title="T", mode="rating", checks=1, seed=0)
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "key.json").write_text(study.as_json())
    for name, change in (
        ("a", {}),
        ("b", {"answers": []}),
        ("c", {"study": "other"}),
    ):
        content = complete_results(study, 1, name=name) | change
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    files = ("--csv", "a.csv", "--latex", "a.tex")
    done = dim("study", "score", "study", "a.json", "b.json", "--bootstrap", "10", *files)
    assert done.code == 0, done.err
    assert "average↑" in done.out and "3.00" in done.out
    assert "excluded b.json: incomplete" in done.err and "scored 1 participants" in done.err
    assert (tmp_path / "a.csv").is_file() and "two" in (tmp_path / "a.tex").read_text()
    done = dim("study", "score", "study", "a.json", "--json")
    assert json.loads(done.out)["participants"] == 1
    for arguments, said in (
        (["c.json"], "c.json: is of another study"),
        (["b.json"], "no results count (1 excluded)"),
        (["study/key.json"], "not a results file"),
        (["none.json"], "none.json: no such"),
        (["a.json", "--csv", "a.csv"], "already exists"),
    ):
        done = dim("study", "score", "study", *arguments)
        assert done.code == 2 and said in done.err and len(done.err.splitlines()) == 1
        assert len(done.err) <= 310
    for wrong in (("study", "score", ".", "a.json"), ("study", "make", "-o", "x")):
        assert dim(*wrong).code == 2
