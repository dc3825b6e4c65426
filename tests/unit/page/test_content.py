"""What stands on a release's page, from evidence in plain values."""

from model_release.page.content import page
from model_release.page.facts import Facts
from model_release.report import Bar, Interval, Link, Part
from tests.unit.page.example_releases import altered, facts, gate


def part(title: str, given: Facts | None = None) -> Part:
    (found,) = (each for each in page(given or facts()).parts if each.heading == title)
    return found


def titles(given: Facts) -> list[str]:
    return [each.heading for each in page(given).parts]


def rows(title: str, given: Facts | None = None) -> list[list[str]]:
    table = part(title, given).table
    assert table
    return [list(row) for row in table.rows]


def test_everything_an_approver_is_to_see_in_this_order() -> None:
    assert titles(facts()) == [
        "The road",
        "What changes",
        "Dependencies",
        "Gates",
        "Champion against challenger",
        "Slices",
        "Latency",
        "Smoke test in staging",
        "Image",
        "Manifests of production",
        "The way back",
        "Where to look",
    ]


def test_the_lead_says_what_is_asked_and_what_came_of_it() -> None:
    asked = "Whoever approves lets fraud 2 into production, "
    assert page(facts()).lead == asked + "in place of version 1."
    assert page(facts(champion=False)).lead == asked + "as first."
    refused = facts(**{"station.smoke": "refused"})
    assert page(refused).lead == "fraud 2 was refused at smoke; production is as it was."
    done = facts(**{"release.state": "released", "champion.since": "2026-11-24"})
    assert page(done).lead == "fraud 2 is champion since 2026-11-24."


def test_the_road_waits_at_one_place() -> None:
    outcomes = [(each.name, each.outcome) for each in part("The road").road]
    assert outcomes[3:] == [
        ("smoke", "passed"),
        ("approve", "waiting"),
        ("deploy-production", "not reached"),
        ("promote", "not reached"),
    ]


def test_what_changes_has_author_commit_and_source_run() -> None:
    found = {row[0]: row[1:] for row in rows("What changes")}
    assert found["version"] == ["1", "2"]
    assert found["author"] == ["ada", "ada"]
    assert found["training commit"] == ["c" * 40, "c" * 40]
    assert found["source run"] == ["5" * 32, "5" * 32]


def test_dependencies_that_differ_and_no_others() -> None:
    assert rows("Dependencies") == [["numpy", "2.1.0", "2.2.0"]]
    assert part("Dependencies", facts(champion=False)).lines == (
        "2 locked packages; no champion yet.",
    )


def test_gates_with_required_and_found() -> None:
    assert rows("Gates")[1] == ["champion", "passed", "champion required", "champion found"]


def test_comparison_with_its_interval_and_what_is_allowed() -> None:
    found = part("Champion against challenger")
    assert found.intervals == [Interval("accuracy", -0.006, -0.002, 0.004, 0.01)]
    assert rows("Champion against challenger") == [
        ["accuracy", "0.96", "0.962", "-0.006 … +0.004", "0.01"],
        ["f1_macro", "–", "0.9", "–", "–"],
    ]
    assert found.table
    assert found.table.columns[3] == "worse by (90% interval)"


def test_worst_slice_first() -> None:
    assert rows("Slices") == [["country = FR", "90", "0.91"], ["country = DE", "400", "0.97"]]


def test_latency_against_its_limits() -> None:
    assert part("Latency").bars == [
        Bar("single p50", 25.0, 100.0, "ms"),
        Bar("single p99", 50.0, 500.0, "ms"),
    ]


def test_image_bill_and_signature() -> None:
    found = {row[0]: row[1] for row in rows("Image")}
    assert found["signed by"] == "the configured key"
    assert found["bill of materials"] == "build/sbom.cdx.json, CycloneDX, 2 components"
    unsigned = facts(**{"release.signed_by": ""})
    assert {row[0]: row[1] for row in rows("Image", unsigned)}["signed by"].startswith("nobody")


def test_manifest_difference() -> None:
    assert part("Manifests of production").code.splitlines() == [
        "--- now",
        "+++ then",
        "@@ -1,2 +1,2 @@",
        " kind: Deployment",
        "-image: fraud:1",
        "+image: fraud:2",
    ]


def test_the_way_back_is_a_command_to_be_copied() -> None:
    assert part("The way back").code.splitlines() == [
        "gh workflow run model-rollback.yaml -f model_name=fraud -f model_version=1 "
        "-f 'reason=<reason>'",
        "python scripts/rollback_model.py --model-name fraud --model-version 1 "
        "--reason '<reason>' --target kubernetes",
    ]
    assert part("The way back", facts(champion=False)).code == ""


def test_links_into_mlflow() -> None:
    assert list(part("Where to look").links)[:2] == [
        Link(f"release {'2' * 32} in MLflow", f"https://mlflow.example.com/#/runs/{'2' * 32}"),
        Link("model version", "https://mlflow.example.com/#/models/fraud/versions/2"),
    ]


def test_who_approved() -> None:
    given = facts(**{"approval.by": "octocat", "approval.dispatcher": "ada"})
    assert rows("Approval", given) == [["by", "octocat"], ["dispatcher", "ada"]]


def test_a_refused_version_has_a_page_of_what_there_is() -> None:
    given = altered({"gates": [gate("integrity", "failed")], "metrics": {}, "slices": []})
    assert "Champion against challenger" not in titles(given)
    assert rows("Gates", given) == [
        ["integrity", "failed", "integrity required", "integrity found"]
    ]
