"""`kgan compare --count`: files of votes, the combined result and the agreement of voters."""

import json

import pytest
from voting import ballot

from kgan import cli
from kgan.comparison.votes import read_ballots, report
from kgan.errors import UserError


def test_one_voter(tmp_path, capsys):
    path = ballot(tmp_path / "ada.json", "aaaaaaaabb--")
    assert cli.main(["compare", "--count", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "A is red, B is blue: 12 photos, 1 voter"
    assert lines[3].split() == ["Ada", "8", "2", "2", "80%", "[49%,", "94%]", "0.109"]
    assert "What was shown as 1 got 5 of 10 choices." in lines
    assert not [line for line in lines if "agree" in line or "majority" in line]


def test_several_voters(tmp_path):
    paths = [ballot(tmp_path / name, choices) for name, choices in
             (("ada.json", "aab-a"), ("bob.json", "aabba"), ("cy.json", "abb-b"))]  # fmt: skip
    lines = report(read_ballots(paths)).splitlines()
    assert lines[0] == "A is red, B is blue: 5 photos, 3 voters"
    rows = {line[:24].strip(): line[24:].split() for line in lines[3:8]}
    assert rows["Ada"][:3] == ["3", "1", "1"]
    assert rows["all votes"] == ["7", "6", "2", "54%"]
    # photos: aaa, aab, bbb, -b-, aab
    assert rows["majority of each photo"] == ["3", "2", "0", "60%", "[23%,", "88%]", "1.000"]
    # Equal pairs of voters: 3, 1, 3, 1 and 1 of 3. By chance (7^2 + 6^2 + 2^2) / 15^2; kappa (135 - 89) / (225 - 89).
    assert "Two voters agree on 60% of the photos (Fleiss' kappa 0.34)" in lines[-1]


def test_a_result_without_any_preference(tmp_path):
    lines = report(read_ballots([ballot(tmp_path / "ada.json", "--")])).splitlines()
    assert lines[3].split() == ["Ada", "0", "0", "2", "-", "1.000"]


def test_names_cannot_change_the_table(tmp_path):
    path = ballot(tmp_path / "ada.json", "ab", voter="x\n\x1b[2Jy", a="r\ned")
    text = report(read_ballots([path]))
    assert "\x1b" not in text
    assert text.splitlines()[0].startswith(r"A is r\ned, B is blue")
    assert r"x\n\x1b[2Jy" in text


def test_a_voter_without_a_name_has_that_of_the_file(tmp_path):
    assert "ada " in report(read_ballots([ballot(tmp_path / "ada.json", "ab", voter="")]))


def test_other_pages_and_copies_are_refused(tmp_path):
    ada, bob = ballot(tmp_path / "ada.json", "ab"), ballot(tmp_path / "bob.json", "ab", comparison="d")
    with pytest.raises(UserError, match=r"bob\.json: holds votes of another page than .*ada\.json"):
        read_ballots([ada, bob])
    copy = tmp_path / "copy.json"
    copy.write_bytes(ada.read_bytes())
    with pytest.raises(UserError, match=r"copy\.json: holds the same votes as .*ada\.json"):
        read_ballots([ada, copy])


@pytest.mark.parametrize(
    "held",
    [
        {"format": "kgan votes 2"}, {"votes": []}, {"votes": None}, {"votes": {"photo": 1}}, {"votes": [1]},
        {"votes": [{"photo": "1", "choice": "c", "first": "a"}]}, {"votes": [{"photo": "1", "choice": "a"}]},
        {"votes": [{"photo": "1", "choice": ["a"], "first": "a"}]}, {"voter": None}, {"a": 3}, {"ballot": []},
        {"votes": [{"photo": 1, "choice": "a", "first": "a"}]},
        {"votes": [{"photo": "1", "choice": "a", "first": "none"}]},
    ],
    ids=str,
)  # fmt: skip
def test_a_file_with_other_contents_is_refused(tmp_path, held):
    path = ballot(tmp_path / "ada.json", "ab", **held)
    with pytest.raises(UserError, match=r"ada\.json: should be a file of votes"):
        read_ballots([path])


@pytest.mark.parametrize("content", [b"", b"[]", b"3", b"null", b"{}", b"\xff\xfe", b"[" * 100_000, b'{"format": 1}'])
def test_a_file_that_is_none_of_votes_is_refused(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"x\.json: should be a file of votes"):
        read_ballots([path])


def test_unicode_names_are_read(tmp_path):
    path = ballot(tmp_path / "ada.json", "ab", voter="Zoë 王")
    assert json.loads(path.read_text(encoding="utf-8"))["voter"] == "Zoë 王"
    assert read_ballots([path])[0].voter == "Zoë 王"
