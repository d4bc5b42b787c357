"""A HAR file, as browsers and proxies export it: the content of each response that is one.

Times are in milliseconds; content that is not text is base64. Seen: http://www.softwareishard.com/blog/har-12-spec/
(`log.entries`, `startedDateTime`, `time`, `content.encoding`, `postData`).
"""

from __future__ import annotations

from .calls import of_completions
from .preset import Preset, has

PRESET = Preset(
    name="har",
    about="a HAR file of a browser or a proxy",
    detected_by=(has("log/entries"),),
    body="/log/entries/*/response/content/text",
    fields={
        "status": ("/log/entries/*/response/status",),
        "created_at": ("/log/entries/*/startedDateTime",),
        "duration_ms": ("/log/entries/*/time",),
        "request": ("/log/entries/*/request/postData/text",),
    },
    is_call=of_completions(("/log/entries/*/request/url",), ("/log/entries/*/request/method",)),
    missing="export the file with content",
    example={"log": {"entries": [{"response": {"status": 200, "content": {"text": '{"choices": []}'}}}]}},
)
