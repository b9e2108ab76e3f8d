"""Films: reading, restyling and writing them. Only `kgan.film.stylize` and `kgan.film.painting` import TensorFlow."""
