"""The store's gauges: counted when Prometheus asks, so that no figure is stale, whichever process did the work."""

from collections.abc import Callable, Iterator
from typing import get_args

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from retrieval.errors import RetrievalError
from retrieval.facts import StoreFacts
from retrieval.types import DocumentStatus, Fault
from server.errors import NotReady


class StoreState(Collector):
    """Asks the store; says nothing while it is loading, and `hrm_store_up 0` where it cannot be read."""

    def __init__(self, facts: Callable[[], StoreFacts]) -> None:
        self._facts = facts

    def describe(self) -> list[Metric]:
        """Nothing: registering it must not ask a store that is still loading."""
        return []

    def collect(self) -> Iterator[Metric]:
        up = "Whether this process can read the store."
        try:
            facts = self._facts()
        except NotReady:
            return
        except RetrievalError:
            yield GaugeMetricFamily("hrm_store_up", up, value=0)
            return
        yield GaugeMetricFamily("hrm_store_up", up, value=1)
        gauges = {
            "hrm_ingest_queue_files": ("Files handed in and not read to their end.", facts.waiting),
            "hrm_ingest_queue_age_seconds": ("Since the oldest of those was handed in.", facts.waiting_s),
            "hrm_store_generation": ("The store's generation.", facts.generation),
            "hrm_index_generation": ("The generation that this process's index shows.", facts.index_generation),
            "hrm_index_rows": ("Chunks in this process's index.", facts.index_rows),
        }
        for name, (text, value) in gauges.items():
            yield GaugeMetricFamily(name, text, value=value)
        documents = GaugeMetricFamily("hrm_documents", "Documents in stores, by status.", labels=["status"])
        for status in get_args(DocumentStatus):
            documents.add_metric([status], facts.documents.get(status, 0))
        yield documents
        failed = GaugeMetricFamily("hrm_documents_failed", "Of those, failed ones by cause.", labels=["code"])
        for fault in get_args(Fault):
            failed.add_metric([fault], facts.failed.get(fault, 0))
        yield failed
