"""From raw values to the values that are fitted: normalisation, transform, filters; nothing is imputed."""

from mixflow.preprocess.filters import Filtered, apply_filters
from mixflow.preprocess.one_group import missingness, one_group
from mixflow.preprocess.prepare import Prepared, prepare
from mixflow.preprocess.proteins import PreparedProteins, prepare_proteins
from mixflow.preprocess.scales import SCALES
from mixflow.preprocess.transforms import TRANSFORMS, apply, invert

__all__ = [
    "SCALES",
    "TRANSFORMS",
    "Filtered",
    "Prepared",
    "PreparedProteins",
    "apply",
    "apply_filters",
    "invert",
    "missingness",
    "one_group",
    "prepare",
    "prepare_proteins",
]
