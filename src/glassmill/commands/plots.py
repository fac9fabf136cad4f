"""Small plots as SVG, without a library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from glassmill.evals.ablation import Effect

ROW, LABEL, WIDTH, MARGIN = 34, 330, 420, 24


def effect_plot(names: Sequence[str], variants: Sequence[Mapping[str, Effect]], score: str, title: str) -> str:
    """Mean and 95 % interval of one score, a row for each variant."""
    found = [variant[score] for variant in variants]
    ends = [(one["mean"] - (one["half_width"] or 0.0), one["mean"] + (one["half_width"] or 0.0)) for one in found]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    spread = (high - low) or max(abs(high), 1.0) * 0.01

    def x(value: float) -> float:
        return LABEL + MARGIN + (value - low) / spread * (WIDTH - 2 * MARGIN)

    height = ROW * (len(found) + 2)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LABEL + WIDTH} {height}" font-family="sans-serif" '
        f'font-size="13" fill="#333"><rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="{LABEL}" y="20" font-weight="bold">{escape(title)}</text>',
    ]
    for row, (name, one, (begin, end)) in enumerate(zip(names, found, ends, strict=True), start=1):
        y = ROW * row + 14
        shown = name if len(name) <= 46 else name[:45] + "…"
        parts += [
            f'<text x="{LABEL - 10}" y="{y + 4}" text-anchor="end">{escape(shown)}</text>',
            f'<line x1="{x(begin):.1f}" x2="{x(end):.1f}" y1="{y}" y2="{y}" stroke="#8a6d3b" stroke-width="2"/>',
            f'<circle cx="{x(one["mean"]):.1f}" cy="{y}" r="4.5" fill="#8a6d3b"/>',
            f'<text x="{x(one["mean"]):.1f}" y="{y - 9}" text-anchor="middle" font-size="11">{one["mean"]:.4f}</text>',
        ]
    y = ROW * (len(found) + 1) + 16
    parts += [
        f'<text x="{x(low):.1f}" y="{y}" text-anchor="middle" fill="#777">{low:.4f}</text>' if high > low else "",
        f'<text x="{x(high):.1f}" y="{y}" text-anchor="middle" fill="#777">{high:.4f}</text></svg>',
    ]
    return "".join(parts) + "\n"
