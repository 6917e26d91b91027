"""No credentials of an address and no home folder are in a message or a record."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from drawings import draw, draw_folder

from twofold.core.options import BackboneOptions, TrainingOptions
from twofold.core.privacy import public_address, public_text, relative_to, without_home
from twofold.embedding import Runtime
from twofold.estimator import BinaryImageClassifier
from twofold.workflows.save import save
from twofold.workflows.train import train


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("https://host.org/a/b.zip", "https://host.org/a/b.zip"),
        ("https://ann:S3CRET@host.org:8443/b.zip", "https://***@host.org:8443/b.zip"),
        ("https://S3CRET@host.org", "https://***@host.org"),
        ("https://ann:S3C@RET@host.org/b.zip", "https://***@host.org/b.zip"),
        ("https://ann:S3C/RET@host.org/b.zip", "https://***"),
        ("https://ann:S3C?RET@host.org/b.zip", "https://***"),
        ("https://ann:S3C#RET@host.org/b.zip", "https://***"),
        ("https://ann:1/S3CRET@host.org/b.zip", "https://***"),
        ("HTTPS://host/b.zip?X-Amz-Signature=S3CRET&x=1", "HTTPS://host/b.zip?…"),
        ("http://host/b.zip?S3CRET", "http://host/b.zip?…"),
        ("http://host/b.zip;jsessionid=S3CRET", "http://host/b.zip;…"),
        ("http://host/b.zip?sig=S3CRET#pets/train", "http://host/b.zip?…#pets/train"),
        ("http://host/b.zip#access_token=S3CRET", "http://host/b.zip#…"),
        ("http://host/b.zip#a%3DS3CRET", "http://host/b.zip#…"),
        ("http://[::1]:80/b.zip?key=S3CRET", "http://[::1]:80/b.zip?…"),
        ("http://ann:S3CRET@[::1/b.zip", "http://***"),
        ("s3:/key:S3CRET@bucket/b", "s3:/***@bucket/b"),
        ("--test=https://ann:S3C RET@host/b.zip?a b", "--test=https://***@host/b.zip?…"),
        ("C:/Users/a;b#c", "C:/Users/a;b#c"),
        ("hf:owner/name", "hf:owner/name"),
    ],
)
def test_a_public_address_has_no_credentials(address: str, public: str) -> None:
    assert public_address(address) == public


def test_messages_of_other_libraries_have_public_addresses() -> None:
    message = "403 for url 'https://u:S3CRET@h/a?sig=S3CRET', and (url: /a.zip?token=S3CRET (caused by x)). Why? no=1"
    assert public_text(message) == "403 for url 'https://***@h/a?… and (url: /a.zip?… (caused by x)). Why? no=1"


def test_the_home_folder_is_replaced_by_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    text = (
        "/home/ann/a.jpg, --out=/home/ann/b, in /home/ann. Not /home/anna, /mnt/home/ann/c, /home/ann.old or ~/home/ann"
    )
    assert without_home(text) == text.replace("/home/ann/a", "~/a").replace("=/home/ann/b", "=~/b").replace(
        "in /home/ann.", "in ~."
    )
    for home in ("/", "relative", ""):
        monkeypatch.setenv("HOME", home)
        assert without_home("/a/relative/b") == "/a/relative/b"


def test_paths_become_relative_to_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    shorten = relative_to([Path("/home/ann/pets"), Path("other.zip")], ["/home/ann/pets/a.jpg", "other.zip/a.jpg"])
    assert shorten("such as /home/ann/pets/cats/1.jpg (other.zip/b.jpg).") == "such as cats/1.jpg (b.jpg)."
    assert shorten("/home/ann/pets2/1.jpg, my/other.zip/a") == "~/pets2/1.jpg, my/other.zip/a"


def test_other_absolute_paths_become_relative_to_their_common_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    shorten = relative_to([Path("/home/ann/lists")], ["/data/x/cats/1.jpg", "/data/x/dogs/1.jpg", "../near/1.jpg"])
    assert [shorten(path) for path in ("/data/x/cats/1.jpg", "../near/1.jpg")] == ["cats/1.jpg", "../near/1.jpg"]
    shorten = relative_to([], ["/data/1.jpg", "/home/ann/dogs/1.jpg"])
    assert [shorten(path) for path in ("/data/1.jpg", "/home/ann/dogs/1.jpg")] == ["/data/1.jpg", "~/dogs/1.jpg"]
    assert relative_to([], [])("/data/1.jpg") == "/data/1.jpg"


def texts(bundle: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in bundle.iterdir() if path.suffix != ".onnx"}


def paths(bundle: Path, name: str) -> set[str]:
    with (bundle / name).open(encoding="utf-8", newline="") as file:
        return {row["path"] for row in csv.DictReader(file)}


@pytest.fixture
def ann(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with images: a duplicate, a damaged one, and a training image that is also a test image."""
    home = tmp_path / "ann"
    draw_folder(home / "pets", 12)
    draw("bars", 0).save(home / "pets/bars/again.png")
    (home / "pets/rings/broken.png").write_bytes(b"x")
    (home / "pets/.hidden").touch()
    draw_folder(home / "more", 3, start=10)
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.mark.slow
def test_a_bundle_does_not_name_the_home_folder(ann: Path, runtime: Runtime) -> None:
    options = TrainingOptions(backbone=BackboneOptions(dtype="f32"))
    training = train(ann / "pets", options, runtime, test=ann / "more")
    words = ["twofold", "train", str(ann / "pets"), f"--out={ann}/b", "https://ann:S3CRET@host/a?token=S3CRET"]
    save(training, ann / "b", command=words)
    for name, text in texts(ann / "b").items():
        assert str(ann) not in text, name
        assert "S3CRET" not in text, name
    assert (
        {"bars/again.png", "rings/rings-003.png"}
        <= paths(ann / "b", "fingerprints.csv")
        <= paths(ann / "b", "files.csv")
    )
    assert paths(ann / "b", "scores.csv") <= paths(ann / "b", "fingerprints.csv")
    record = json.loads((ann / "b/bundle.json").read_text(encoding="utf-8"))
    assert record["command"] == ["twofold", "train", "~/pets", "--out=~/b", "https://***@host/a?…"]
    result = json.loads((ann / "b/evaluation.json").read_text(encoding="utf-8"))
    assert result["audit"]["duplicates"][0]["path"] == "bars/bars-000.png"
    assert "such as .hidden" in str(result["notes"])


@pytest.mark.slow
def test_a_bundle_from_absolute_paths_does_not_name_the_home_folder(
    ann: Path, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = sorted((ann / "pets").glob("*/*-0*.png"))
    (ann / "lists").mkdir()
    rows = [
        f"{path if number % 2 else f'../pets/{path.parent.name}/{path.name}'},{path.parent.name}"
        for number, path in enumerate(files)
    ]
    (ann / "lists/pets.csv").write_text("\n".join(["path,label", *rows]))
    options = TrainingOptions(backbone=BackboneOptions(dtype="f32"))
    save(train(ann / "lists/pets.csv", options, runtime), ann / "table")
    assert "../pets/bars/bars-000.png" in paths(ann / "table", "fingerprints.csv")
    assert "bars/bars-001.png" in paths(ann / "table", "fingerprints.csv")
    monkeypatch.setenv("XDG_CACHE_HOME", str(ann / "cache"))
    classifier = BinaryImageClassifier(dtype="f32").fit(list(map(str, files)), [path.parent.name for path in files])
    classifier.save(ann / "estimator")
    assert paths(ann / "estimator", "scores.csv") == {f"{path.parent.name}/{path.name}" for path in files}
    for bundle in (ann / "table", ann / "estimator"):
        assert not [name for name, text in texts(bundle).items() if str(ann) in text]
    assert np.isfinite(classifier.decision_function(files[:1])).all()
