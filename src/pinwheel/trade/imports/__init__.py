"""Imports: catalogues from files, taken in by one resumable job.

Words: a *source* is a published layout in all its versions; a *record* is one product as a file
tells it; a *job* is one file being taken in; a *fault* is a row or value that was left out, with
its place and the reason; a *note* says what was taken for what.

Promises: killed at any instant and run again, a job ends the same; the same file twice changes
nothing; a record that did not change leaves alone what was edited here since; a broken row costs
itself and nothing after it; nothing is guessed without a note."""

from pinwheel.trade.imports.actions import SOURCES, run
from pinwheel.trade.imports.model import (
    ColumnsMissing,
    Counts,
    Fault,
    FileUnreadable,
    ImportFinished,
    MappingUnsound,
    Note,
    OptionUnsound,
    Report,
    SourceUnknown,
)
from pinwheel.trade.imports.previewing import FIELDS, Preview, preview
from pinwheel.trade.imports.queries import JobLine, Numbered, faults, faults_csv, jobs, report

__all__ = [
    "FIELDS",
    "SOURCES",
    "ColumnsMissing",
    "Counts",
    "Fault",
    "FileUnreadable",
    "ImportFinished",
    "JobLine",
    "MappingUnsound",
    "Note",
    "Numbered",
    "OptionUnsound",
    "Preview",
    "Report",
    "SourceUnknown",
    "faults",
    "faults_csv",
    "jobs",
    "preview",
    "report",
    "run",
]
