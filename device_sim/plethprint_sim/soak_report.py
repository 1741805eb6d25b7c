"""What a soak found: a table for people, JUnit XML for test rigs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from plethprint_sim.soak_result import SoakResult

__all__ = ["junit_xml", "table_row", "table_title", "write_junit"]

_ROW = "{:<9} {:<24} {:<9} {:>9} {:>9} {:>8} {:>6} {:>7}  {}"


def table_title() -> str:
    """Heading of the table."""
    return _ROW.format(
        *("wearable", "fault", "outcome", "sent", "received", "missing", "prints"),
        "s",
        "",
    ).rstrip()


def table_row(result: SoakResult) -> str:
    """One line of the table; what was wrong stands at its end."""
    missing = "unknown" if result.missing is None else str(result.missing)
    return _ROW.format(
        result.personality,
        result.fault,
        result.outcome.split(":")[0],
        result.sent,
        result.received,
        missing,
        result.fingerprints,
        f"{result.wall_s:.1f}",
        "ok" if result.passed else "FAILED: " + "; ".join(result.failures),
    )


def junit_xml(results: Sequence[SoakResult]) -> str:
    """The same as JUnit XML: a suite for each personality, a case for each fault.

    Examples
    --------
    >>> junit_xml([SoakResult("open", "clean", 1.0, "streamed")])[:26]
    '<testsuites name="soak" te'
    """
    failed = sum(not result.passed for result in results)
    root = ElementTree.Element(
        "testsuites", name="soak", tests=str(len(results)), failures=str(failed)
    )
    for personality in dict.fromkeys(result.personality for result in results):
        cases = [result for result in results if result.personality == personality]
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=f"soak.{personality}",
            tests=str(len(cases)),
            failures=str(sum(not case.passed for case in cases)),
            time=f"{sum(case.wall_s for case in cases):.2f}",
        )
        for case in cases:
            element = ElementTree.SubElement(
                suite,
                "testcase",
                classname=f"soak.{personality}",
                name=case.fault,
                time=f"{case.wall_s:.2f}",
            )
            if not case.passed:
                told = "; ".join(case.failures)
                failure = ElementTree.SubElement(element, "failure", message=told)
                failure.text = told
            output = ElementTree.SubElement(element, "system-out")
            output.text = table_row(case)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode")


def write_junit(results: Sequence[SoakResult], path: Path) -> None:
    """Write the JUnit XML file; parents must exist."""
    path.write_text(
        '<?xml version="1.0" encoding="utf-8"?>\n' + junit_xml(results) + "\n",
        encoding="utf-8",
    )
