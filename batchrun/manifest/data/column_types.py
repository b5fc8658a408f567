"""What the texts of a CSV file mean: numbers, booleans, or text."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from batchrun.manifest.yaml.scalars import from_field


class ColumnTypes(Struct):
    """The types of the columns of a table's CSV files, as far as the manifest says them."""

    text: frozenset[str] = frozenset()

    def values(self, fields: Mapping[str, str]) -> dict[str, Any]:
        """Return the values of a row of texts."""
        return {
            name: field if name in self.text else from_field(field)
            for name, field in fields.items()
        }
