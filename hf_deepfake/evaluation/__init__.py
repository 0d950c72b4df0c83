"""Scores and labels in; metrics with intervals, calibration, report and figures out."""
