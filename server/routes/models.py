"""GET /v1/models: the model, and its aliases for the stores that the caller may read."""

from fastapi import APIRouter

from retrieval.errors import StoreNotFound
from server.deps import ModelCard
from server.errors import UnknownModel
from server.plan import NO_STORE, store_of
from server.routes.guard import CallerDep, GuardedRoute, ServicesDep
from server.schemas.objects import Model, ModelList

router = APIRouter(prefix="/v1", tags=["models"], route_class=GuardedRoute)


@router.get("/models")
async def list_models(caller: CallerDep, services: ServicesDep) -> ModelList:
    """List the ids that the caller may ask: the plain one first, then one for each readable store."""
    stores = await services.library.stores(caller.reader())
    card = services.model
    names = [card.id, *(f"{card.id}@{name}" for name in (NO_STORE, *(store.name for store in stores)))]
    return ModelList(object="list", data=[_model(name, card) for name in names if caller.may_ask(name)])


@router.get("/models/{model:path}")
async def retrieve_model(model: str, caller: CallerDep, services: ServicesDep) -> Model:
    """Retrieve one id; an alias of a store that the caller may not read does not exist."""
    store = store_of(model, services.model, caller)
    if store not in (None, NO_STORE):
        try:
            await services.library.store(store, caller.reader())
        except StoreNotFound as error:
            raise UnknownModel(model) from error
    return _model(model, services.model)


def _model(name: str, card: ModelCard) -> Model:
    return Model(id=name, object="model", created=card.created, owned_by=card.owned_by, max_model_len=card.context)
