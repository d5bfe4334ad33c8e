"""Samples of runs for the OpenAPI document."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from latchpin.api.v1.run_files import RunFileOut
from latchpin.api.v1.run_wire import RemovedRun, RunOut, RunSummary, StartedRun, StatusCountOut

PARAMETERS: dict[str, Any] = {"runId": 512, "fileId": 3}
_CREATED = datetime(2026, 11, 23, 16, 5, 12, tzinfo=UTC)
_STARTED = datetime(2026, 11, 23, 16, 5, 13, tzinfo=UTC)
_ENDED = datetime(2026, 11, 23, 16, 6, 40, tzinfo=UTC)
_RUN = RunOut(
    tag="",
    id=512,
    config_id=1,
    config_name="Book prices",
    space_id=1,
    organization_id=1,
    organization_name="Northwind",
    sequence=41,
    parallelism=1,
    parallel_max_concurrency=1,
    parallel_export="Combined",
    parallel_set=0,
    start_time=_STARTED,
    end_time=_ENDED,
    created=_CREATED,
    status=9,
    message=None,
    config_version=2,
    action_count=164,
    page_count=52,
    dynamic_page_count=0,
    request_count=53,
    data_count=112,
    input_count=1,
    error_count=0,
    export_count=112,
    traffic=1_482_337,
    run_time_sec=87,
    server_name="demo-1",
    table_type="run",
)
_WAITING = msgspec.structs.replace(
    _RUN,
    start_time=None,
    end_time=None,
    status=4,
    message="3rd in the queue; the Space runs 2 of 2.",
    action_count=0,
    page_count=0,
    request_count=0,
    data_count=0,
    export_count=0,
    traffic=0,
    run_time_sec=None,
    server_name=None,
)
_STARTED_RUN = StartedRun(**{**msgspec.structs.asdict(_WAITING), "table_type": None}, run_id=512)
ANSWERS: dict[str, Any] = {
    "startAgent": _STARTED_RUN,
    "listRuns": [_RUN],
    "getRunSummary": RunSummary(
        total_count=41,
        status_counts=[
            StatusCountOut(status=6, status_name="Failure", count=1),
            StatusCountOut(status=9, status_name="Completed", count=40),
        ],
    ),
    "getRunStatus": _RUN,
    "restartRun": _WAITING,
    "deleteRun": RemovedRun(run_id=512, remove_method="RemoveEntireRun"),
    "listRunFiles": [
        RunFileOut(id=3, region_id=None, file_type=1, name="records.jsonl", file_size=20_114, created=_STARTED),
        RunFileOut(id=4, region_id=None, file_type=6, name="log.txt", file_size=5_802, created=_STARTED),
    ],
}
BODIES: dict[str, Any] = {
    "startAgent": {"inputParameters": '{"category": "fiction"}', "isExclusive": True, "logLevel": "Info"},
}
