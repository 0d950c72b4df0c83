"""What a data set would teach besides faces: leaks between splits, shortcuts to the label, and remedies for both."""

from hf_deepfake.audit.findings import Audit, Finding
from hf_deepfake.audit.remedy import normalise, split
from hf_deepfake.audit.render import write_audit
from hf_deepfake.audit.run import audit

__all__ = ["Audit", "Finding", "audit", "normalise", "split", "write_audit"]
