"""Batch effects: how large they are, what they are tied to, and values with them removed."""

from mixflow.harmonise.association import Association, associate, refuse_aliased, sentences
from mixflow.harmonise.combat import Harmonised, combat
from mixflow.harmonise.diagnose import Diagnosis, diagnose, variance_share
from mixflow.harmonise.mixed import remove_modes
from mixflow.harmonise.pca import Components, principal_components
from mixflow.harmonise.quality import coefficient_of_variation

__all__ = [
    "Association",
    "Components",
    "Diagnosis",
    "Harmonised",
    "associate",
    "coefficient_of_variation",
    "combat",
    "diagnose",
    "principal_components",
    "refuse_aliased",
    "remove_modes",
    "sentences",
    "variance_share",
]
