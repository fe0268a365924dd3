"""`preprocess.level` compared with what the features' annotation has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from mixflow.errors import Problem
from mixflow.study.nearest import nearest
from mixflow.study.study import Study

if TYPE_CHECKING:
    from mixflow.store.readers import RawTable
    from mixflow.store.readers.taxa import Taxa


def described(table: RawTable, annotation: pd.DataFrame | None) -> pd.DataFrame:
    """Annotation that came with the data, with the columns of `data.features` (ids in its first column)."""
    own = table.features.reindex(list(table.feature_ids))
    if annotation is None:
        return own
    given = annotation.drop_duplicates(annotation.columns[0]).set_index(annotation.columns[0])
    return own.assign(**{str(name): given[name].reindex(own.index).fillna("") for name in given.columns})


def problems(study: Study, annotation: pd.DataFrame) -> list[Problem]:
    """A level that the annotation does not have, with the nearest that it has."""
    from mixflow.store.readers.taxa import levels

    wanted = study.preprocess.level
    known = levels(annotation)
    if wanted is None or wanted.casefold() in {name.casefold() for name in known}:
        return []
    remedy = nearest(wanted, known, 12) if known else "the features have no lineage and no annotation"
    return [
        Problem(
            "the features' annotation has no such level",
            **study.place("preprocess", "level"),
            value=wanted,
            remedy=f"{remedy}; a column `lineage` ('k__Bacteria;p__...'), or one for each rank, may come "
            "from a table in data.features",
        )
    ]


def taxa(study: Study, annotation: pd.DataFrame) -> Taxa | None:
    """What the features become; None without a level, or where the annotation does not have it."""
    from mixflow.store.readers.taxa import taxa_at

    wanted = study.preprocess.level
    return None if wanted is None or problems(study, annotation) else taxa_at(annotation, wanted)
