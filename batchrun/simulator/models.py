"""The models that the simulator knows (pure).

Ids, inputs and prices follow sections 13 and 16 of the API's fact sheet. What is not public there
is made up, so that there is a model to play with and costs to add, and its description says so.
The note on a price is prose, as the documents have it, and few are labels with a price: the price
itself is on the model's page, which is no part of the API.
"""

from collections.abc import Mapping
from typing import Final

from batchrun.simulator.catalog import Model
from batchrun.simulator.image_models import IMAGES
from batchrun.simulator.tool_models import TOOLS, WORKFLOWS
from batchrun.simulator.video_models import VIDEOS

MODELS: Final[Mapping[str, Model]] = {
    model.id: model for model in (*TOOLS, *IMAGES, *VIDEOS, *WORKFLOWS)
}
