"""What every section of a config is made of."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(gt=0)]
NonNegative = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(gt=0, lt=1)]
Task = Literal["binary", "multiclass", "multilabel", "ordinal"]


class Section(BaseModel):
    """Base of every section: frozen, no unknown keys, field docstrings as descriptions."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False, protected_namespaces=()
    )
