"""``presage fit`` and ``presage validate``: what needs one pass over stored samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import presage.plugins as plugins
from presage.cli.common import SettingsCommand, SettingsOption, StoreOption, interruptible, pairs
from presage.cli.settings import Group, build, divide
from presage.labels import nearest
from presage.typed import ParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

    from presage.batches import BatchSource
    from presage.store import Store

#: Name → specification of what :func:`presage.fit` fits in one pass.
FITS = {
    "pca": "presage.transforms.moments:PCABasis",
    "wiener": "presage.transforms.transverse:LearnedWiener",
}
_NAME = "sky"  # of a sum that is given no name
From = Annotated[
    list[str],
    typer.Argument(
        metavar="FROM...",
        help="Keys or names of datasets; KEY.VARIABLE for one variable of several, KEY+KEY for "
        "their sum, paired at random, NAME=KEY+KEY to name it.",
    ),
]


class FitCommand(SettingsCommand):
    """``presage fit`` with the settings of what is fitted."""

    def groups(self, named: Sequence[str], options: Mapping[str, str]) -> Sequence[Group]:
        """Return those of the specification."""
        return [_settings(named[0])] if named else []


def _kind(what: str) -> Any:
    address = plugins.address_of(what, FITS, "presage.fits", "fit in one pass")
    return plugins.resolve(address)


def _settings(what: str) -> Group:
    return Group.of("fit", what, _kind(what))


def fit(
    what: Annotated[
        str, typer.Argument(help="pca, wiener, or the address of one of your own.")
    ],
    samples: From,
    validation: Annotated[
        float, typer.Option(min=0.0, max=0.99, help="Share of each dataset that is kept out.")
    ] = 0.05,
    parameter: SettingsOption = None,
    store: StoreOption = None,
) -> None:  # fmt: skip
    """Fit WHAT in one pass to stored samples, and print the key of the result.

    presage fit pca FOREGROUND+SIGNAL+NOISE: a basis of principal components, of the sum of three
    pools. presage fit wiener signal=SIGNAL contaminant=FOREGROUND+NOISE: the learned filter.
    Settings are options too: presage fit WHAT --help lists them.
    """
    from presage.fitting import fit as fit_
    from presage.store import Store

    held, kind = Store(store), _kind(what)
    settings = divide(pairs(parameter), [_settings(what)])[0]
    columns = _columns(samples, held)
    if "variable" in _settings(what).settings:
        settings.setdefault("variable", next(iter(columns)))
    with interruptible():
        source = _source(columns)
        made = fit_(build(kind, settings), source, validation=validation, store=held)
    typer.echo(f"{made.attrs['presage_key']}  {what}")


def validate(
    what: Annotated[str, typer.Argument(help="pca.")],
    basis: Annotated[str, typer.Argument(help="Key or name of a basis.")],
    samples: From,
    modes: Annotated[int, typer.Option(help="How many components are removed.")] = 7,
    batch: Annotated[int, typer.Option(min=1, help="Samples that are looked at.")] = 4,
    out: Annotated[Path | None, typer.Option(help="Where the plot goes, a .png.")] = None,
    store: StoreOption = None,
) -> None:
    """Check a stored basis on samples: accuracy, what it takes and leaves, and its speed.

    presage validate pca BASIS signal=SIGNAL foreground=FOREGROUND noise=NOISE
    """
    from presage.analysis.basis_check import basis_figure, check_basis
    from presage.lineage import sample_dim
    from presage.store import Store

    if what != "pca":
        raise ParameterError(f"there is no check of {what!r}{nearest(what, ['pca'])}")
    held = Store(store)
    parts = {}
    for name, terms in _columns(samples, held).items():
        if len(terms) > 1:
            raise ParameterError(f"{name}: a part is one dataset, what they add up to is the sky")
        pool, variable = terms[0]
        parts[name] = (
            pool[variable]
            .isel({sample_dim(pool): slice(0, batch)})
            .drop_vars(sample_dim(pool), errors="ignore")
        )
    check = check_basis(held.open(basis), parts, modes)
    for line in _table(check):
        typer.echo(line)
    target = out or Path(f"validate_pca_nfg{modes}.png")
    basis_figure(check).savefig(target, dpi=150)
    typer.echo(str(target))


def _columns(texts: Sequence[str], store: Store) -> dict[str, list[tuple[xr.Dataset, str]]]:
    """Return name → datasets and variables that are added."""
    found: dict[str, list[tuple[xr.Dataset, str]]] = {}
    for text in texts:
        name, equals, sum_ = text.rpartition("=")
        terms = [_term(term, store) for term in sum_.split("+")]
        name = name if equals else terms[0][1] if len(terms) == 1 else _NAME
        if name in found:
            raise ParameterError(f"{name!r} is given twice; name each: NAME=KEY")
        found[name] = terms
    return found


def _term(text: str, store: Store) -> tuple[xr.Dataset, str]:
    """Return the dataset and the variable of ``KEY`` or ``KEY.VARIABLE``."""
    from presage.store import StoreError

    key, variable = text, ""
    try:
        dataset = store.open(key)
    except StoreError:
        key, point, variable = text.rpartition(".")
        if not point:
            raise
        dataset = store.open(key)
    known = [str(name) for name in dataset.data_vars]
    if not variable and len(known) > 1:
        raise ParameterError(f"{key} has {', '.join(known)}; name one: {key}.{known[0]}")
    variable = variable or known[0]
    if variable not in known:
        raise ParameterError(f"{key} has no {variable!r}{nearest(variable, known)}")
    return dataset, variable


def _source(columns: Mapping[str, list[tuple[xr.Dataset, str]]]) -> xr.Dataset | BatchSource:
    """Return the samples: one dataset, or pools that are paired and added."""
    from presage.batches import Paired

    pools: dict[str, xr.Dataset] = {}
    sums: dict[str, list[str]] = {}
    for column, terms in columns.items():
        for dataset, variable in terms:
            name = f"pool_{dataset.attrs['presage_key'][:16]}"
            pools[name] = dataset
            sums.setdefault(column, []).append(f"{name}.{variable}")
    alone = len(pools) == 1 and all(
        len(terms) == 1 and terms[0][1] == name for name, terms in columns.items()
    )
    return next(iter(pools.values())) if alone else Paired(pools, sums)


def _table(check: xr.Dataset) -> list[str]:
    """Return what was found as lines."""
    from presage.analysis.basis_check import BAR

    modes, seconds = int(check.attrs["modes"]), check["seconds"]
    lines = [f"orthonormality      {check.attrs['orthonormality']:.1e}"]
    lines += [
        f"error, {way:<22}{value:.1e}  {'met' if value <= BAR else 'above'} {BAR:g} of the signal"
        for way, value in zip(check["way"].values, check["error"].values, strict=True)
    ]
    chosen = check.sel(removed=modes)
    lines.append(f"signal's power lost with {modes} modes  {float(chosen['lost']):.3g}")
    lines.append(f"power left of all else, over the signal's  {float(chosen['left']):.3g}")
    slowest = float(seconds.sel(work="PCA of the batch"))
    lines += [
        f"{work:<20}{1e3 * value:9.2f} ms  {slowest / value:7.1f} x"
        for work, value in zip(seconds["work"].values, seconds.values, strict=True)
    ]
    return lines
