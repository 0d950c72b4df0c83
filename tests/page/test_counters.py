import pytest
from prometheus_client.parser import text_string_to_metric_families

from hf_deepfake.detect.verdict import Verdict
from hf_deepfake.page.counters import Counters
from hf_deepfake.page.turns import Turns


def values(counters):
    """Value by name and labels, as a collector reads them."""
    families = text_string_to_metric_families(counters.text().decode())
    return {(sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples}


def test_what_is_counted():
    turns = Turns(waiting=1)
    counters = Counters(turns)
    counters.answered("predict", 200, 0.2)
    counters.answered("predict", 200, 0.3)
    counters.answered("predict", 503, 0.0)
    counters.found(Verdict("fake", 0.9, 0.9))
    counters.found(Verdict("fake", 0.6, 0.6, unsure=True))
    with counters.evaluation():
        pass
    with pytest.raises(ZeroDivisionError), counters.evaluation():
        raise ZeroDivisionError
    found = turns.queue(lambda: values(counters)).result()
    assert found["hf_deepfake_requests_total", "predict", "200"] == 2
    assert found["hf_deepfake_requests_total", "predict", "503"] == 1
    assert found["hf_deepfake_request_seconds_sum", "predict"] == pytest.approx(0.5)
    assert found["hf_deepfake_verdicts_total", "fake"] == found["hf_deepfake_verdicts_total", "cannot tell"] == 1
    assert found["hf_deepfake_evaluation_seconds_count",] == 1
    assert found["hf_deepfake_images_in_service",] == 1
    assert values(counters)["hf_deepfake_images_in_service",] == 0
    assert found["process_resident_memory_bytes",] > 0
