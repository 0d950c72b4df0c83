"""The MCP tools, which say what they take: gradio's own would ask for a link, and links are refused here.

The schema is also held: `mcp` checks arguments against it before the tool is called.
"""

import os
from typing import Any

from gradio import mcp

# It read the place of uploads when it was imported, which may have been before this package named one.
mcp.DEFAULT_TEMP_DIR = os.environ["GRADIO_TEMP_DIR"]

DATA_URL = "the {name} as a data URL: data:{kind};base64,... No links and no paths."

KINDS = {"image": "image/jpeg", "video": "video/mp4"}
"""What a tool's parameters stand for, by their names."""


class DataUrlTool(mcp.GradioMCPServer):
    """gradio's MCP server, whose schema has data URLs for files."""

    @property
    def _file_data_tool_description(self) -> str:
        """Nothing of a tool for uploads, which is not here."""
        return ""

    def get_input_schema(
        self, tool_name: str, parameters: dict[str, str] | None = None
    ) -> tuple[dict[str, Any], list[list[str | int]]]:
        """Gradio's schema, with what a file is."""
        schema, files = super().get_input_schema(tool_name, parameters)
        for name, *_ in files:
            said = DATA_URL.format(name=name, kind=KINDS[str(name)])
            file = {"type": "string", "format": "data-url", "pattern": "^data:", "description": said}
            schema["properties"][name] = file
        return schema, files
