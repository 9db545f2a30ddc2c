"""``presage store``: lists that tell datasets apart, names, and what to do where it stops."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
import xarray as xr

import fit_toys
import presage as ps
from faults import toys
from presage.cli.listing import differences, table
from presage.cli.main import main
from presage.cli.store import _simulate_again
from presage.fitting import fit
from presage.recipe import Parent, Recipe
from presage.store import Store, StoreError, StoreWarning

RECIPES = {bins: Recipe("toy", 1, {"model": {"bins": bins, "hidden": 4}}) for bins in (8, 16)}


@pytest.fixture
def store() -> Store:
    store = Store()
    for bins, recipe in RECIPES.items():
        store.put(recipe, xr.Dataset({"x": ("i", np.arange(1000.0 * bins))}))
    store.put(Recipe("other", 1, {"a": 1}), xr.Dataset({"x": ("i", np.arange(3.0))}))
    return store


class Said:
    """What a command printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> None:
        with pytest.raises(SystemExit) as end:
            main(["store", *words])
        self.out, self.err = capsys.readouterr()
        assert (end.value.code or 0) == status, self.err
        self.rows = self.out.splitlines()[1:-1]


def test_rows_of_one_producer_say_in_what_they_differ(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    said = Said(capsys, "ls", "--producer", "toy")
    assert [row.split()[-1] for row in said.rows] in (["bins=8", "bins=16"], ["bins=16", "bins=8"])
    assert "hidden" not in said.out
    assert [row.split()[0] for row in Said(capsys, "ls", "--match", "BINS=16").rows] == ["toy"]
    wrong = Said(capsys, "ls", "--producer", "toi", status=2)
    assert "did you mean 'toy'" in wrong.err


def test_lists_that_begin_alike_differ_and_a_seed_stands_before_them() -> None:
    """A row has room for the beginning of a list of labels, and no more."""
    store, labels = Store(), [[float(i), 0.25] for i in range(20)]
    for seed, end in ((0, 1.0), (1, 2.0)):
        fields = {"labels": [*labels, [end, 0.0]]}
        store.put(Recipe("long", 1, fields, seed=seed), xr.Dataset({"x": ("i", [1.0])}))
    held = store.list()
    apart = sorted(differences([entry for entry in held if entry.producer == "long"]).values())
    assert [text.split()[0] for text in apart] == ["seed=0", "seed=1"]
    assert all("labels=[[0.0, 0.25]" in text for text in apart)
    for found in ("seed=0", "seed=1"):
        assert sum(found in row[-1] for row in table(held, {})) == 1
    with pytest.raises(StoreError, match=r"key 'long' .*; long made \w{16}, \w{16}$"):
        store.find("long")


def test_every_variable_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    recipe = Recipe("wide", 1, parents=(Parent("7" * 64),))
    Store().put(recipe, xr.Dataset({f"x{i}": ("i", [1.0]) for i in range(40)}))
    shown = Said(capsys, "show", recipe.key).out
    assert {f"x{i}" for i in range(40)} <= set(shown.split())
    assert f"from {'7' * 16}, which is not in this store" in shown
    above = Recipe("above", 1, parents=(Parent(recipe.key),))
    Store().put(above, xr.Dataset({"x": ("i", [1.0])}))
    assert f"from wide/{recipe.key[:16]}\n" in Said(capsys, "show", above.key).out


def test_what_was_made_from_others_is_not_made_again() -> None:
    drawn = Recipe("flow_sample", 1, parents=(Parent("7" * 64),))
    assert _simulate_again(Store(), drawn, 0.01) == f"; made from {'7' * 16}, not made again"


def test_rows_are_sorted_by_true_size(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    said = Said(capsys, "ls", "--sort", "size")
    keys = [row.split()[1] for row in said.rows]
    assert keys[:2] == [RECIPES[16].key[:16], RECIPES[8].key[:16]]
    sizes = {entry.key: entry.bytes for entry in store.list()}
    folder = store.entry(RECIPES[16]).folder
    assert sizes[RECIPES[16].key] == sum(512 * p.stat().st_blocks for p in folder.iterdir())
    assert f"{sizes[RECIPES[16].key] / 1000:.1f} kB" in said.rows[0]


def test_a_name_is_taken_as_a_key_until_the_dataset_goes(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    Said(capsys, "tag", RECIPES[16].key[:6], "best-µ")
    assert store.find("best-µ") == RECIPES[16]
    assert "best-µ" in Said(capsys, "ls", "--match", "best-µ").rows[0]
    assert RECIPES[16].key in Said(capsys, "show", "best-µ").out
    assert "before: " in Said(capsys, "tag", RECIPES[8].key, "best-µ").out
    assert store.find("best-µ") == RECIPES[8]
    assert "did you mean 'best-µ'" in Said(capsys, "show", "best-m", status=2).err
    for name in ("abc", "../x", "", ".hidden", "a b"):
        assert "for example best-flow" in Said(capsys, "tag", RECIPES[8].key, name, status=2).err
    Said(capsys, "rm", "best-µ")
    assert store.tags() == {}
    Said(capsys, "tag", RECIPES[16].key, "last")
    Said(capsys, "tag", "last", "last", "--remove")
    assert store.tags() == {}


@pytest.mark.parametrize(
    "words", [["ls"], ["show", "a"], ["verify"], ["rm", "a"], ["tag", "a", "b"]]
)
def test_a_store_that_is_not_there_is_an_error(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = tmp_path / "nowhere"
    said = Said(capsys, *words, "--store", str(nowhere), status=2)
    assert "there is no store at" in said.err
    assert "presage generate" in said.err
    assert not nowhere.exists()


def test_what_was_adopted_is_not_looked_for_as_a_simulator(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Store().adopt(xr.Dataset({"x": ("event", [1.0, 2.0])}), "mine", sample="event")
    said = Said(capsys, "verify").out
    assert "hashes fit; taken in as it was given" in said
    assert "--simulator" not in said


def test_a_bad_recipe_is_the_fault_of_one_entry_alone(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    bad, good = toys.spoil(store), RECIPES[8]
    (store.root / "notes" / "of mine").mkdir(parents=True)
    (store.root / "notes" / "of mine" / "text").touch()
    rows = {row.split()[1]: row for row in Said(capsys, "ls").rows}
    assert len(rows) == 3 + len(bad) + 1
    for name, (_, said) in toys.BAD_RECIPES.items():
        assert said in rows[bad[name].name], name
        assert str(bad[name] / "recipe.json") in Said(capsys, "show", bad[name].name, status=2).err
    assert ", complete\n" in Said(capsys, "show", good.key).out
    lines = Said(capsys, "verify", status=1).out.splitlines()
    assert sum(line.endswith("hashes fit") for line in lines) == 3
    assert len(lines) == len(rows)
    names = [f"{folder.parent.name}/{folder.name}" for folder in bad.values()]
    Said(capsys, "rm", *names[1:], bad["nested"].name, "of mine")
    assert {entry.state for entry in store.list()} == {"complete"}
    assert len(store.list()) == 3


def test_a_bad_recipe_is_written_again_with_its_dataset(store: Store) -> None:
    for name in toys.spoil(store):
        recipe = Recipe("spoilt", 1, {"name": name, "width": 1.0})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StoreWarning)
            store.put(recipe, xr.Dataset({"x": ("i", [1.0])}))
        assert store.find(recipe.key) == recipe, name


def test_what_others_were_made_from_is_removed_by_force(capsys: pytest.CaptureFixture[str]) -> None:
    store = Store()
    train = fit_toys.stored(store)
    fit(fit_toys.Toy(), train, epochs=1, batch_size=100, store=store, progress=False)
    assert "--force" in Said(capsys, "rm", train.attrs["presage_key"], status=2).err


def test_a_trained_model_leaves_as_weights_or_history(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store()
    train = fit_toys.stored(store)
    fitted = fit(fit_toys.Toy(), train, epochs=2, batch_size=100, store=store, progress=False)
    Said(capsys, "export", fitted.key, str(tmp_path / "w.safetensors"))
    weights = safetensors.torch.load_file(tmp_path / "w.safetensors")
    for name, tensor in fitted.network.state_dict().items():
        assert torch.equal(weights[f"network/{name}"], tensor)
    Said(capsys, "export", fitted.key, str(tmp_path / "h.nc"))
    with xr.open_dataset(tmp_path / "h.nc") as history:
        np.testing.assert_array_equal(history.loss, fitted.history.loss)
    with pytest.raises(
        StoreError, match=r"no samples; a trained model comes back with presage.load"
    ):
        store.open(fitted.key)


def test_torch_modules_and_loaders_are_told_what_to_do() -> None:
    with pytest.raises(TypeError, match=r"specification of a model.* got Linear.*build\(declar"):
        ps.fit(torch.nn.Linear(1, 1), fit_toys.dataset(), epochs=1)
    batches = ps.Batches(fit_toys.dataset(), 10)
    with pytest.raises(TypeError, match=r"DataLoader\(batches.torch\(\), batch_size=None\)"):
        next(iter(torch.utils.data.DataLoader(batches)))
    loader = torch.utils.data.DataLoader(batches.torch(), batch_size=None)
    assert next(iter(loader))["x_label"].shape == (10,)


def test_files_of_a_description_are_imported_and_verified(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "own.npz", m=np.arange(4.0), at=np.array([1.0, 1.0, 2.0, 2.0]))
    (tmp_path / "own.toml").write_text(
        'file = "own.npz"\n[columns]\nmass = "m"\n[labels]\nenergy = "at"\n', encoding="utf-8"
    )
    key = Said(capsys, "import", str(tmp_path / "own.toml")).out.split()[0]
    assert Store().open(key)["mass"].values.tolist() == [0.0, 1.0, 2.0, 3.0]
    said = Said(capsys, "verify", key).out
    assert "numpy-events reads files" in said
    assert "--simulator" not in said
    assert "there is no file" in Said(capsys, "import", "none.toml", status=2).err
