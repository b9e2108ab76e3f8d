"""Broken checkpoints are skipped. A checkpoint that cannot be written or contains NaN is not kept."""

import shutil
import subprocess

import numpy as np
import pytest
import small_runs

from kgan.assembly import build_gan
from kgan.errors import RunError, UserError
from kgan.gan.checkpoints import Checkpoints


@pytest.fixture(scope="module")
def gan():
    return build_gan(small_runs.settings(small_runs.home() / "unused", weight=("features=0",)))


@pytest.fixture
def saved(gan, tmp_path):
    """Checkpoints of the steps 1, 2 and 3 with different weights; the folder."""
    checkpoints = Checkpoints(gan, tmp_path / "checkpoints", keep=5)
    for step in (1, 2, 3):
        put(gan, step)
        checkpoints.save()
    put(gan, 77)
    return checkpoints.folder


def put(gan, number):
    """Set all weights and the step to `number`."""
    gan.step.assign(number)
    for variable in gan.generator.variables + gan.generator_optimizer.variables:
        variable.assign(np.full(variable.shape, number, variable.dtype))


def numbers(gan):
    variables = [gan.step, *gan.generator.variables, *gan.generator_optimizer.variables]
    return set(np.concatenate([np.asarray(v, "float64").ravel() for v in variables]))


def reopened(gan, folder):
    return Checkpoints(gan, folder, keep=5)


def test_the_newest_is_restored(gan, saved, capsys):
    assert reopened(gan, saved).restore() == 3
    assert numbers(gan) == {3}
    assert capsys.readouterr().err == ""


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGE = {
    "data cut": lambda folder: truncate(folder / "ckpt-3.data-00000-of-00001"),
    "data empty": lambda folder: (folder / "ckpt-3.data-00000-of-00001").write_bytes(b""),
    "data gone": lambda folder: (folder / "ckpt-3.data-00000-of-00001").unlink(),
    "index cut": lambda folder: truncate(folder / "ckpt-3.index"),
    "index empty": lambda folder: (folder / "ckpt-3.index").write_bytes(b""),
    "index gone": lambda folder: (folder / "ckpt-3.index").unlink(),
    "index of another": lambda folder: shutil.copy(folder / "ckpt-2.index", folder / "ckpt-3.index"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_broken_one_is_passed_over(gan, saved, capsys, damage):
    DAMAGE[damage](saved)
    assert reopened(gan, saved).restore() == 2
    assert numbers(gan) == {2}
    said = capsys.readouterr().err
    assert "ckpt-3 is broken" in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("suffix", ["index", pytest.param("data-00000-of-00001", marks=pytest.mark.long)])
def test_flipped_bits_are_noticed_wherever_they_are(gan, saved, suffix):
    path = saved / f"ckpt-3.{suffix}"
    whole = path.read_bytes()
    for place in np.linspace(0, len(whole) - 1, 40).astype(int):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        # A bit that no variable uses may be flipped: then the checkpoint is as good as before.
        step = reopened(gan, saved).restore()
        assert step in (2, 3)
        assert numbers(gan) == {step}, place
        if suffix != "index":
            assert step == 2, place


def test_two_broken_ones(gan, saved):
    truncate(saved / "ckpt-3.index")
    truncate(saved / "ckpt-2.data-00000-of-00001")
    assert reopened(gan, saved).restore() == 1
    assert numbers(gan) == {1}


def test_none_that_can_be_read(gan, saved):
    for path in saved.glob("*.index"):
        truncate(path)
    with pytest.raises(UserError, match="none of its 3 checkpoints can be read"):
        reopened(gan, saved).restore()


def test_the_list_of_checkpoints_may_be_lost(gan, saved):
    (saved / "checkpoint").unlink()
    assert reopened(gan, saved).restore() == 3


def test_a_clock_set_back_hides_nothing(gan, saved):
    # TensorFlow's manager leaves out checkpoints that are not newer than "the last one preserved".
    state = (saved / "checkpoint").read_text(encoding="utf-8")
    assert "last_preserved_timestamp" in state
    lines = [line for line in state.splitlines() if "last_preserved" not in line]
    (saved / "checkpoint").write_text("\n".join([*lines, "last_preserved_timestamp: 9e9"]), encoding="utf-8")
    assert reopened(gan, saved).restore() == 3


def test_an_empty_folder_is_no_error(gan, tmp_path):
    assert reopened(gan, tmp_path / "nothing").restore() is None


def test_leftovers_of_a_killed_save_are_removed(gan, saved):
    (saved / "ckpt-4_temp").mkdir()
    (saved / "ckpt-4_temp" / "part-00000-of-00001.data-00000-of-00001").write_bytes(b"half")
    (saved / "checkpoint.tmp123").write_text("half", encoding="utf-8")
    assert reopened(gan, saved).restore() == 3
    assert not list(saved.glob("*temp*"))
    assert not list(saved.glob("*tmp*"))


def test_only_the_wanted_number_is_kept(gan, tmp_path):
    checkpoints = Checkpoints(gan, tmp_path / "checkpoints", keep=2)
    for step in range(5):
        put(gan, step)
        checkpoints.save()
    assert sorted(path.stem for path in checkpoints.folder.glob("*.index")) == ["ckpt-3", "ckpt-4"]


def test_weights_that_are_nan_are_not_saved(gan, saved):
    checkpoints = reopened(gan, saved)
    checkpoints.restore()
    put(gan, 4)
    kernel = gan.generator.trainable_variables[0]
    kernel.assign(np.where(np.arange(kernel.shape[-1]) == 1, np.nan, np.ones(kernel.shape)))
    with pytest.raises(RunError, match=r"became NaN or infinite by step 4; the checkpoint of step 3 is good"):
        checkpoints.save()
    put(gan, 4)
    assert reopened(gan, saved).restore() == 3


def test_a_full_disk_leaves_the_former_whole(gan, tmp_path):
    folder = tmp_path / "checkpoints"
    small_runs.mount(folder, kilobytes=1800)
    try:
        checkpoints = Checkpoints(gan, folder, keep=9)
        written = 0
        with pytest.raises(RunError, match=r"could not be written \(.*space.*the checkpoint of step \d+ is good"):  # noqa: PT012
            for step in range(1, 50):
                put(gan, step)
                checkpoints.save()
                written = step
        assert written
        assert not list(folder.glob("*temp*"))
        put(gan, 77)
        assert reopened(gan, folder).restore() == written
        assert numbers(gan) == {written}
    finally:
        small_runs.unmount(folder)


def test_a_read_only_folder(gan, saved):
    try:
        locked = subprocess.run(["chattr", "+i", str(saved)], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("needs the command chattr")
    if locked.returncode:
        pytest.skip(f"needs a file system that can make a folder immutable: {locked.stderr.strip()}")
    try:
        checkpoints = reopened(gan, saved)
        checkpoints.restore()
        put(gan, 4)
        with pytest.raises(RunError, match=r"step 4 could not be written \(.*the checkpoint of step 3 is good"):
            checkpoints.save()
    finally:
        subprocess.run(["chattr", "-i", str(saved)], check=True)
    assert reopened(gan, saved).restore() == 3
    assert numbers(gan) == {3}
