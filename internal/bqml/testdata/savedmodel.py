# Makes the SavedModels beside it, with TensorFlow itself:
#
#   pip install tensorflow-cpu==2.21.0 && python savedmodel.py
#
# Only saved_model.pb of each is kept. signatures.txt is what TensorFlow's own
# saved_model_cli says of them.
import os
import shutil
import subprocess
import tempfile

import tensorflow as tf


class Tutorial(tf.Module):
    """The signature of the BigQuery tutorial's model: text, to one score in an array."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def __call__(self, text):
        length = tf.cast(tf.strings.length(text), tf.float32)
        return {"classifier": tf.reshape(tf.sigmoid(length), [-1, 1])}


class Types(tf.Module):
    """Every type that BigQuery can pass, alone and in an array."""

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.int64, name="count"),
            tf.TensorSpec([None, 3], tf.float64, name="features"),
            tf.TensorSpec([None], tf.bool, name="flag"),
            tf.TensorSpec([None, None], tf.string, name="words"),
        ]
    )
    def __call__(self, count, features, flag, words):
        return {
            "total": tf.reduce_sum(features, axis=1) + tf.cast(count, tf.float64),
            "all_true": flag,
            "lengths": tf.strings.length(words),
        }


class Image(tf.Module):
    """A shape for which BigQuery has no type."""

    @tf.function(input_signature=[tf.TensorSpec([None, 28, 28], tf.float32, name="image")])
    def __call__(self, image):
        return {"mean": tf.reduce_mean(image, axis=[1, 2])}


here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(here, "signatures.txt"), "w") as out:
    for module in (Tutorial(), Types(), Image()):
        name = type(module).__name__.lower()
        with tempfile.TemporaryDirectory() as folder:
            tf.saved_model.save(module, folder, signatures=module.__call__)
            shutil.copy(os.path.join(folder, "saved_model.pb"), os.path.join(here, name + ".pb"))
            shown = subprocess.run(
                ["saved_model_cli", "show", "--dir", folder, "--tag_set", "serve", "--signature_def", "serving_default"],
                check=True, capture_output=True, text=True,
            ).stdout
            out.write(f"== {name}.pb\n{shown}\n")
