"""Interlaced frames as whole ones: ffmpeg's yadif filter, for frames that say that they are two
fields of different moments."""

from collections.abc import Iterator

from av.error import FFmpegError
from av.filter import Graph
from av.video.frame import VideoFrame

FILTER = "mode=send_frame:deint=interlaced"


def deinterlaced(frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
    """The same frames, same times; from the first interlaced one on they pass through the filter.

    It compares a field with those before and behind it, and so gives each frame one later.
    """
    graph, kind = None, None
    for frame in frames:
        if graph is None and not frame.interlaced_frame:
            yield frame
            continue
        if kind != (frame.width, frame.height, frame.format.name):
            if graph is not None:
                yield from _pulled(graph, last=True)
            kind = frame.width, frame.height, frame.format.name
            graph = _graph(frame)
        assert graph is not None
        graph.push(frame)
        yield from _pulled(graph)
    if graph is not None:
        yield from _pulled(graph, last=True)


def _graph(frame: VideoFrame) -> Graph:
    graph = Graph()
    graph.threads = 1  # the cores are for the networks
    source = graph.add_buffer(
        width=frame.width,
        height=frame.height,
        format=frame.format,
        time_base=frame.time_base,
    )
    fields, sink = graph.add("yadif", FILTER), graph.add("buffersink")
    source.link_to(fields)
    fields.link_to(sink)
    graph.configure()
    return graph


def _pulled(graph: Graph, last: bool = False) -> Iterator[VideoFrame]:
    if last:
        graph.push(None)
    while True:
        try:
            pulled = graph.pull()
        except (FFmpegError, BlockingIOError, EOFError):  # it waits for more, or is at its end
            return
        if isinstance(pulled, VideoFrame):
            yield pulled
