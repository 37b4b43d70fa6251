"""Parts of the body on a CT, by thresholds, morphology and region growing: no training, any field of view."""
