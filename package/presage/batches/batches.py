"""Batches as a user has them: numpy arrays, or torch tensors on any device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from presage.batches.loader import Loader

if TYPE_CHECKING:
    from presage.batches.tensors import Resident, TorchBatches


class Batches(Loader):
    """Shuffled minibatches of a dataset, shared among ranks.

    Parameters
    ----------
    source
        A dataset of the store or any selection of one, any other labelled dataset, a
        mapping name → array, or a :class:`~presage.batches.BatchSource`, such as several
        :class:`~presage.batches.Paired` pools.
    batch_size
        Samples in a global batch, all ranks together.
    variables
        Which to read; by default all that have the sample dimension.
    sample
        Name of the sample dimension, where the source does not say.
    seed
        Seed of the order.
    shuffle
        ``"full"``; ``"block"`` for data larger than memory (see
        :mod:`presage.batches.plan`); ``"aligned"``, the same by the blocks of the simulator
        that made them, in which samples come on the fly and which reads stored ones in the
        same order; ``None`` for the order of the dataset; ``"auto"`` takes ``"aligned"`` on
        the fly, and the block shuffle when the data are on disk and exceed 0.6 of the memory;
        pairs that are drawn anew in every epoch come in the order in which they are drawn.
    rank, world_size
        Which part of each batch is read here.
    drop_last
        Leave out a short last batch.
    prefetch
        Gather in a thread, ahead of the loop.
    copy
        Give arrays of their own instead of views that the next but one batch may overwrite.
    pad
        Give ragged variables as ``[row, longest row of the batch, ...]``, zero beyond a row's
        length, with ``<dim>_mask`` ``[row, longest]``, True where there are values.

    Raises
    ------
    BatchError
        Sizes, ranks or names that cannot be.

    Notes
    -----
    Views are valid until the next batch is asked for. Keeping batches in a list needs
    ``copy=True``.

    Examples
    --------
    A training loop of one's own; on several GPUs every process gives its `rank` and
    `world_size`. Stored samples, ``presage.simulate(...)``, take the place of these.

    >>> import presage as ps
    >>> from presage.studies.pdf import Gaussian
    >>> sets = ps.on_the_fly(Gaussian(n_events=10), 4096)
    >>> batches = Batches(sets, 1024, seed=1, rank=0, world_size=2)
    >>> [str(name) for name in batches.metadata["parameter"].values]
    ['mu_x', 'mu_y', 'sigma_x', 'sigma_y', 'rho']
    >>> batches.metadata["events"].dims
    ('sample', 'repeat', 'event', 'feature')
    >>> for batch in batches.torch("cpu"):
    ...     loss = batch["events"].mean() * batch.weight  # then mean gradients over ranks
    >>> batch["events"].shape, len(batches)
    (torch.Size([512, 1, 10, 2]), 4)
    """

    def torch(self, device: Any = None) -> TorchBatches:
        """Return the same batches as torch tensors, for a loop or DataLoader of your own.

        See :class:`presage.batches.tensors.TorchBatches`.
        """
        from presage.batches.tensors import TorchBatches  # torch, only where it is used

        return TorchBatches(self, device)

    def resident(self, device: Any = "cpu") -> Resident:
        """Return the same batches cut on a device that holds all data.

        See :class:`presage.batches.tensors.Resident`.
        """
        from presage.batches.tensors import Resident

        return Resident(self, device)
