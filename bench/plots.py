"""Plots as small SVG files: bars in panels, and lines over a logarithmic scale.

Each file brings its own background and has colours for light and for dark pages, so it can be read on either.

SPDX-License-Identifier: MIT
"""

import math
from html import escape

STYLE = """<style>
text { font: 12px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 } .small { font-size: 11px } .end { text-anchor: end } .middle { text-anchor: middle }
.page { fill: #ffffff } .grid { stroke: #d8dee4 } .axis { stroke: #57606a; fill: none }
.own { fill: #2f6fde } .other { fill: #8c959f } .outside { fill: url(#hatch); stroke: #8c959f } .cut { fill: #ffffff }
.range { stroke: #24292f }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .page, .cut { fill: #0d1117 } .grid { stroke: #30363d } .axis { stroke: #9198a1 }
.own { fill: #4c8dff } .range { stroke: #e6edf3 }
}
</style>
<defs><pattern id="hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
<path d="M0 0V5" stroke="#8c959f" stroke-width="2"/></pattern></defs>
"""
# Told apart on white and on black, and, with the markers, without colour.
COLOURS = ["#2f6fde", "#d1242f", "#1a9850", "#b7791f", "#8250df", "#0e9aa7", "#bf3989", "#8c959f", "#a0522d", "#6b8e23"]
ROW = 16
LABELS = 168  # the width of the contenders' names
LEGEND = [("own", "knoll"), ("other", "other heaps, same run"), ("outside", "† measured outside of this repository")]


def text(x, y, string, kind=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(str(string))}</text>\n'


def line(x1, y1, x2, y2, kind):
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" class="{kind}"/>\n'


def document(width, height, description, body):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'role="img" aria-label="{escape(description)}">\n'
            f'{STYLE}<rect width="{width}" height="{height}" rx="6" class="page"/>\n{body}</svg>\n')


def legend(x, y, kinds):
    body = ""
    for kind, name in LEGEND:
        if kind in kinds:
            body += f'<rect x="{x}" y="{y - 9}" width="12" height="10" class="{kind}"/>\n' + text(x + 18, y, name)
            x += 34 + 7 * len(name)
    return body


def bar(x, y, value, scale, base, limit):
    """One bar and its figure. One that is longer than the axis is cut, and shows it."""
    length = max(0.0, min(value["value"], limit) - base) * scale
    body = f'<rect x="{x:.1f}" y="{y + 2}" width="{length:.1f}" height="{ROW - 5}" class="{value["kind"]}"/>\n'
    if value["value"] > limit:
        end = x + length - 14
        body += f'<path d="M{end:.1f} {y + ROW - 2}l4 {1 - ROW}h4l-4 {ROW - 1}z" class="cut"/>\n'
    if value["least"] < value["most"] <= limit:
        body += line(x + (value["least"] - base) * scale, y + ROW / 2, x + (value["most"] - base) * scale, y + ROW / 2, "range")
    return body + text(x + length + 5, y + ROW - 4, value["text"], "small")


def panel(x, y, width, title, values, axis):
    """A list of horizontal bars over the axis: its base, limit, step and name."""
    base, limit, step, name = axis
    left = x + LABELS
    scale = (width - LABELS - 48) / (limit - base)
    bottom = y + 22 + ROW * len(values)
    body = text(left, y + 12, title, "title")
    for i in range(round((limit - base) / step) + 1):
        at = left + i * step * scale
        body += line(at, y + 20, at, bottom, "axis" if i == 0 else "grid")
        body += text(at, bottom + 14, f"{base + i * step:g}", "small middle")
    body += text(left, bottom + 29, name, "small")
    for i, value in enumerate(values):
        top = y + 22 + i * ROW
        body += text(left - 6, top + ROW - 4, value["name"], "small end") + bar(left, top, value, scale, base, limit)
    return body


def bars(description, panels, axis, columns):
    """panels: pairs of a title and its values, each a dict of name, kind, value, least, most, text."""
    width = 470
    height = 76 + ROW * max(len(values) for _, values in panels)
    rows = math.ceil(len(panels) / columns)
    body = legend(24, 28, {value["kind"] for _, values in panels for value in values})
    for i, (title, values) in enumerate(panels):
        body += panel(i % columns * width, 44 + i // columns * height, width, title, values, axis)
    return document(width * columns + 8, 48 + rows * height, description, body)


def marker(x, y, shape):
    """A small circle, square, triangle or rhombus."""
    path = [f"M{x - 4:.1f} {y:.1f}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0", f"M{x - 3.5:.1f} {y - 3.5:.1f}h7v7h-7z",
            f"M{x:.1f} {y - 4.5:.1f}l4.5 8h-9z", f"M{x:.1f} {y - 5:.1f}l5 5l-5 5l-5 -5z"]
    return path[shape % len(path)]


def decade(power):
    return f"{10 ** (power % 3)}{['', ' k', ' M', ' G'][power // 3]}"


def chart(x, y, width, height, title, series, ticks, axes):
    """Lines over two logarithmic axes. series: dicts of name, outside, and points from x to y."""
    xs = [tick for tick, _ in ticks]
    most = max(value for one in series for value in one["points"].values())
    least = min(value for one in series for value in one["points"].values())
    low, high = math.floor(math.log10(least)), math.ceil(math.log10(most + 1))
    left, bottom = x + 76, y + height

    def across(value):
        return left + 24 + (width - 124) * math.log(value / xs[0]) / math.log(xs[-1] / xs[0])

    def up(value):
        return bottom - (height - 24) * (math.log10(value) - low) / (high - low)

    body = text(left, y + 8, title, "title")
    for power in range(low, high + 1):
        body += line(left, up(10**power), left + width - 84, up(10**power), "axis" if power == low else "grid")
        body += text(left - 6, up(10**power) + 4, decade(power), "small end")
    for tick, name in ticks:
        body += text(across(tick), bottom + 16, name, "small middle")
    body += text(left + width / 2 - 42, bottom + 34, axes[0], "small middle")
    body += f'<text transform="translate({x + 24} {bottom - height / 2 + 40}) rotate(-90)" class="small">{axes[1]}</text>\n'
    for i, one in enumerate(series):
        points = sorted(one["points"].items())
        path = "L".join(f"{across(size):.1f} {up(value):.1f}" for size, value in points)
        marks = "".join(marker(across(size), up(value), i) for size, value in points)
        body += stroke(path, marks, i, one["outside"])
    return body


def stroke(path, marks, index, outside):
    colour = COLOURS[index % len(COLOURS)]
    kind = 'stroke-width="1.5" stroke-dasharray="5 3"' if outside else 'stroke-width="3"'
    return (f'<path d="M{path}" fill="none" stroke="{colour}" {kind}/>\n'
            f'<path d="{marks}" fill="{colour}"/>\n')


def lines(description, charts, ticks, axes=("size of the heap", "instructions")):
    """charts: pairs of a title and its series; all have the same series in the same order. axes: their names."""
    width, height = 440, 330
    body = ""
    for i, (title, series) in enumerate(charts):
        body += chart(i * width, 22, width, height, title, series, ticks, axes)
    names = [(one["name"], one["outside"]) for one in charts[0][1]]
    for i, (name, outside) in enumerate(names):
        x, y = 60 + i % 4 * 208, height + 84 + i // 4 * 20
        body += stroke(f"{x} {y - 4}h28", marker(x + 14, y - 4, i), i, outside) + text(x + 36, y, name, "small")
    bottom = height + 84 + (len(names) - 1) // 4 * 20
    if any(outside for _, outside in names):
        body += text(60, bottom + 24, "† dashed: measured outside of this repository", "small")
    return document(width * len(charts) + 8, bottom + 36, description, body)
