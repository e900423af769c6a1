"""The questions about the sample documents, asked over HTTP: how many are answered, and cited where they stand.

python -m tests.bench.handbook --model hrm_model/mini
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import openai

from tests.e2e.handbook import QUESTIONS, Verdict, ask, judge
from tests.e2e.served import ROOT, serving


def main() -> None:
    """Print each answer, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "hrm_model" / "mini")
    parser.add_argument("--quiet", action="store_true", help="wrong answers only")
    parser.add_argument("serve", nargs="*", help="further flags for `hrm-serve serve`, after --")
    arguments = parser.parse_args()
    result: dict[str, object] = {"model": arguments.model.name}
    seconds: list[float] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder), arguments.model, ["--default-store", "handbook", *arguments.serve]) as served,
        openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0, timeout=120) as client,
    ):
        taken = served.command("ingest", str(ROOT / "server" / "samples"), "--store", "handbook")
        assert taken.returncode == 0, taken.stderr
        model = client.models.list().data[0].id
        for name, entries in QUESTIONS.items():
            verdicts: list[Verdict] = []
            for entry in entries:
                began = time.perf_counter()
                completion = ask(client, model, entry["question"])
                seconds.append(time.perf_counter() - began)
                verdict = judge(completion, entry)
                verdicts.append(verdict)
                if not (arguments.quiet and verdict.is_cited):
                    mark = "ok " if verdict.is_cited else "uncited" if verdict.is_right else "WRONG"
                    print(f"{mark:8} {entry['question']}\n         {verdict.said!r} ({verdict.status})")
            result[name] = {
                "right": sum(v.is_right for v in verdicts),
                "right_and_cited": sum(v.is_cited for v in verdicts),
                "of": len(verdicts),
            }
    result["seconds_median"] = round(statistics.median(seconds), 3)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
