"""Coefficients of ``quality.predicted_overlap``: written by Testing/bench/fit_quality.py, not by hand."""

MEAN = (
    0,  # one
    1.43654,  # contrast
    2.80259,  # contrast²
    0.391288,  # weakest
    0.529965,  # weakest²
    0.683995,  # support
    0.732917,  # separation
    0.560902,  # separation²
    1.22689e12,  # roundness
    1.26583e26,  # roundness²
    -0.836321,  # growth
    1.42727,  # growth²
    1.4127,  # shrinkage²
    0.0760925,  # border
    0.0594799,  # border²
    0.778087,  # smaller
    0.697042,  # larger
    0.543569,  # smaller·larger
    0.65076,  # smaller 2
    0.536665,  # larger 2
    0.458524,  # spread
    0.756372,  # spread²
    1.40044,  # log radius
    4.26385,  # log radius²
)

SCALE = (
    1,  # one
    0.859619,  # contrast
    3.06953,  # contrast²
    0.613889,  # weakest
    0.424514,  # weakest²
    0.34775,  # support
    0.154058,  # separation
    0.205498,  # separation²
    1.11838e13,  # roundness
    1.83796e27,  # roundness²
    0.853133,  # growth
    1.67967,  # growth²
    1.69138,  # shrinkage²
    0.231711,  # border
    0.20201,  # border²
    0.401588,  # smaller
    0.363942,  # larger
    0.420388,  # smaller·larger
    0.494782,  # smaller 2
    0.409381,  # larger 2
    0.739005,  # spread
    1.78632,  # spread²
    1.51744,  # log radius
    5.29647,  # log radius²
)

WEIGHT = (
    0.333898,  # one
    -0.0746917,  # contrast
    0.0233412,  # contrast²
    0.0193126,  # weakest
    0.0942823,  # weakest²
    -0.0214579,  # support
    -0.0270423,  # separation
    0.0834358,  # separation²
    0.0023087,  # roundness
    0.000746652,  # roundness²
    0.167277,  # growth
    0.186584,  # growth²
    -0.211122,  # shrinkage²
    -0.442806,  # border
    0.21479,  # border²
    0.0388567,  # smaller
    0.0201076,  # larger
    -0.0253507,  # smaller·larger
    0.0414389,  # smaller 2
    0.00184909,  # larger 2
    0.126268,  # spread
    -0.0697688,  # spread²
    0.212099,  # log radius
    -0.0749242,  # log radius²
)
