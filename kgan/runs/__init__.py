"""Plain data of a run: settings, recipes, the run folder, trained models by name. No TensorFlow here."""
