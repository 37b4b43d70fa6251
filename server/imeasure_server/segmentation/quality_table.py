"""Coefficients of ``quality.predicted_overlap``: written by `make train`, not by hand."""

MEAN = (
    0,  # one
    1.42227,  # contrast
    2.73154,  # contrast²
    0.388619,  # weakest
    0.529031,  # weakest²
    0.687099,  # support
    0.744877,  # separation
    0.577422,  # separation²
    1.1738e12,  # roundness
    1.20779e26,  # roundness²
    -0.891914,  # growth
    1.55647,  # growth²
    1.54215,  # shrinkage²
    0.0739197,  # border
    0.0581352,  # border²
    0.787229,  # smaller
    0.698015,  # larger
    0.547348,  # smaller·larger
    0.662578,  # smaller 2
    0.534059,  # larger 2
    0.418126,  # spread
    0.686459,  # spread²
    1.34485,  # log radius
    4.09418,  # log radius²
)

SCALE = (
    1,  # one
    0.841845,  # contrast
    2.9884,  # contrast²
    0.614823,  # weakest
    0.421982,  # weakest²
    0.347285,  # support
    0.150266,  # separation
    0.204002,  # separation²
    1.09271e13,  # roundness
    1.80886e27,  # roundness²
    0.872328,  # growth
    1.75801,  # growth²
    1.77004,  # shrinkage²
    0.229502,  # border
    0.200652,  # border²
    0.406805,  # smaller
    0.364595,  # larger
    0.424117,  # smaller·larger
    0.504594,  # smaller 2
    0.410011,  # larger 2
    0.715283,  # spread
    1.71704,  # spread²
    1.51181,  # log radius
    5.27858,  # log radius²
)

WEIGHT = (
    0.321459,  # one
    -0.0820925,  # contrast
    0.028018,  # contrast²
    0.0139409,  # weakest
    0.0683261,  # weakest²
    -0.0192482,  # support
    -0.0626565,  # separation
    0.126595,  # separation²
    -0.00270936,  # roundness
    0.00501398,  # roundness²
    0.17144,  # growth
    0.108949,  # growth²
    -0.144707,  # shrinkage²
    -0.433328,  # border
    0.203749,  # border²
    0.0259697,  # smaller
    0.00612841,  # larger
    -0.0105481,  # smaller·larger
    0.0436222,  # smaller 2
    -0.00321764,  # larger 2
    0.139834,  # spread
    -0.084409,  # spread²
    0.233858,  # log radius
    -0.0877009,  # log radius²
)
