"""FEDHEX's network as TensorFlow Probability makes it, trained and sampled on request.

Run by an interpreter that has TensorFlow (`PRESAGE_BENCH_TENSORFLOW`), never imported: it
reads requests line by line and answers each with one line of JSON. A masked autoregressive
flow of 10 bijections with 128 hidden units each, ReLU, the label into every layer, tanh of
the log scale, the variables reversed in between; Keras compiles and feeds it.

    {"do": "open", "data": "events.npz", "threads": 1}
    {"do": "train", "batch": 1024, "epochs": 1}       → events a second of the last epoch
    {"do": "sample", "rows": 65536}                   → events a second
    {"do": "draw", "labels": "labels.npy", "to": "drawn.npy"}
"""

from __future__ import annotations

import json
import os
import sys
import time

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras as keras

_MAPS, _HIDDEN = 10, [128]


class Made(tfp.bijectors.AutoregressiveNetwork):
    """A masked network whose log scale goes through tanh."""

    def call(self, x, conditional_input=None):
        """Return shift and log scale."""
        shift, log_scale = tf.unstack(super().call(x, conditional_input), num=2, axis=-1)
        return shift, tf.math.tanh(log_scale)


class Peer:
    """The flow, its Keras model and the data."""

    def __init__(self, data, threads):
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        with np.load(data) as arrays:
            self.x, self.c = arrays["target"], arrays["condition"]
        features, context = self.x.shape[1], self.c.shape[1]
        chain = []
        for i in range(_MAPS):
            made = Made(
                params=2, event_shape=(features,), hidden_units=_HIDDEN, activation="relu",
                conditional=True, conditional_event_shape=(context,),
                conditional_input_layers="all_layers", name=f"made_{i}",
            )  # fmt: skip
            chain.append(tfp.bijectors.MaskedAutoregressiveFlow(made, name=f"maf_{i}"))
            chain.append(tfp.bijectors.Permute(list(range(features))[::-1]))
        base = tfp.distributions.Sample(tfp.distributions.Normal(0.0, 1.0), [features])
        bijector = tfp.bijectors.Chain(chain[:-1][::-1])
        self.flow = tfp.distributions.TransformedDistribution(base, bijector)
        inputs = [keras.layers.Input((n,)) for n in (features, context)]
        log_prob = self.flow.log_prob(inputs[0], bijector_kwargs=self.given(inputs[1]))
        self.model = keras.Model(inputs, log_prob)
        rate = keras.optimizers.schedules.PolynomialDecay(1e-3, 100, 1e-4, 0.5, cycle=True)
        self.model.compile(keras.optimizers.Adam(rate), loss=lambda _, log_p: -log_p)
        self._draw = tf.function(
            lambda c: self.flow.sample(tf.shape(c)[0], bijector_kwargs=self.given(c)),
            reduce_retracing=True,
        )

    @staticmethod
    def given(condition):
        """Return the condition as every bijector takes it."""
        return {f"maf_{i}": {"conditional_input": condition} for i in range(_MAPS)}

    def train(self, batch, epochs):
        """Return events a second of the last epoch, and its loss."""
        ends = []
        mark = keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda *_: ends.append(time.perf_counter()),
            on_epoch_end=lambda *_: ends.append(time.perf_counter()),
        )
        rows = len(self.x) // batch * batch
        told = self.model.fit(
            [self.x[:rows], self.c[:rows]], np.zeros(rows, np.float32), batch_size=batch,
            epochs=epochs, verbose=0, callbacks=[mark],
        )  # fmt: skip
        return {"rate": rows / (ends[-1] - ends[-2]), "loss": told.history["loss"][-1]}

    def sample(self, rows):
        """Return events a second."""
        c = tf.constant(np.resize(self.c, (rows, self.c.shape[1])))
        began = time.perf_counter()
        self._draw(c).numpy()
        return {"rate": rows / (time.perf_counter() - began)}

    def draw(self, labels, to):
        """Write one event for each row of labels."""
        np.save(to, self._draw(tf.constant(np.load(labels))).numpy())
        return {"rows": len(np.load(labels))}


def main():
    """Answer requests until there are no more."""
    peer = None
    for line in sys.stdin:
        request = json.loads(line)
        do = request.pop("do")
        if do == "open":
            peer = Peer(**request)
            answer = {"tensorflow": tf.__version__, "tensorflow_probability": tfp.__version__}
        else:
            answer = getattr(peer, do)(**request)
        print("answer " + json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
