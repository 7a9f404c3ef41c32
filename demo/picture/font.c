// SPDX-License-Identifier: MIT
#include "font.h"

#include <stdio.h>

/*
 * Each glyph on a grid with capitals 14 and small letters 10 units high:
 * M x y moves, L x y draws a line, E cx cy rx ry from to an elliptic arc.
 */
struct glyph {
	char letter;
	float width;
	const char *strokes;
};

static const struct glyph font[] = {
	{ ' ', 4, "" },
	{ 'a', 10, "E 5 5 5 5 0 360 M 10 10 L 10 0" },
	{ 'b', 10, "M 0 14 L 0 0 E 5 5 5 5 0 360" },
	{ 'c', 8.5, "E 5 5 5 5 45 315" },
	{ 'd', 10, "E 5 5 5 5 0 360 M 10 14 L 10 0" },
	{ 'e', 10, "M 0 5 L 10 5 E 5 5 5 5 0 315" },
	{ 'f', 6.2, "M 2.2 0 L 2.2 10.7 E 5.5 10.7 3.3 3.3 180 80 M 0 8.6 L 5.6 8.6" },
	{ 'g', 10, "E 5 5 5 5 0 360 M 10 10 L 10 0 E 5 0 5 4.5 0 -150" },
	{ 'h', 9, "M 0 14 L 0 0 M 0 5.5 E 4.5 5.5 4.5 4.5 180 0 L 9 0" },
	{ 'i', 0.6, "M 0.3 10 L 0.3 0 M 0.3 13.7 L 0.3 13.8" },
	{ 'j', 3, "M 3 10 L 3 -1.5 E 0 -1.5 3 3 0 -80 M 3 13.7 L 3 13.8" },
	{ 'k', 8, "M 0 14 L 0 0 M 7.6 10 L 0 4 M 3 6.3 L 8.2 0" },
	{ 'l', 0.6, "M 0.3 14 L 0.3 0" },
	{ 'm', 14, "M 0 10 L 0 0 M 0 6.5 E 3.5 6.5 3.5 3.5 180 0 L 7 0 M 7 6.5 E 10.5 6.5 3.5 3.5 180 0 L 14 0" },
	{ 'n', 9, "M 0 10 L 0 0 M 0 5.5 E 4.5 5.5 4.5 4.5 180 0 L 9 0" },
	{ 'o', 10, "E 5 5 5 5 0 360" },
	{ 'p', 10, "M 0 10 L 0 -4.5 E 5 5 5 5 0 360" },
	{ 'q', 10, "E 5 5 5 5 0 360 M 10 10 L 10 -4.5" },
	{ 'r', 5.5, "M 0 10 L 0 0 M 0 5 E 5 5 5 5 180 80" },
	{ 's', 7.4, "E 3.7 7.5 3.3 2.5 40 270 E 3.7 2.5 3.6 2.5 90 -140" },
	{ 't', 6, "M 2.2 13.4 L 2.2 3 E 5.2 3 3 3 180 280 M 0 10 L 5.6 10" },
	{ 'u', 9, "M 0 10 L 0 4.5 E 4.5 4.5 4.5 4.5 180 360 M 9 10 L 9 0" },
	{ 'v', 9, "M 0 10 L 4.5 0 L 9 10" },
	{ 'w', 14, "M 0 10 L 3.5 0 L 7 10 L 10.5 0 L 14 10" },
	{ 'x', 8.4, "M 0 10 L 8.4 0 M 8.4 10 L 0 0" },
	{ 'y', 9, "M 0 10 L 4.6 0 M 9 10 L 2.8 -4.5" },
	{ 'z', 8, "M 0.3 10 L 8 10 L 0 0 L 8 0" },
	{ 'A', 11, "M 0 0 L 5.5 14 L 11 0 M 2 5 L 9 5" },
	{ 'B', 8.6, "M 0 0 L 0 14 L 4.6 14 E 4.6 10.6 3.4 3.4 90 -90 L 0 7.2 "
		    "M 4.6 7.2 E 5 3.6 3.6 3.6 90 -90 L 0 0" },
	{ 'C', 12, "E 7 7 7 7 45 315" },
	{ 'D', 11, "M 0 0 L 0 14 L 4 14 E 4 7 7 7 90 -90 L 0 0" },
	{ 'E', 8, "M 8 14 L 0 14 L 0 0 L 8 0 M 0 7.2 L 7 7.2" },
	{ 'F', 7.5, "M 7.5 14 L 0 14 L 0 0 M 0 7.2 L 6.5 7.2" },
	{ 'G', 14, "E 7 7 7 7 45 360 L 8 7" },
	{ 'H', 10, "M 0 0 L 0 14 M 10 0 L 10 14 M 0 7.2 L 10 7.2" },
	{ 'I', 0.6, "M 0.3 0 L 0.3 14" },
	{ 'J', 6, "M 6 14 L 6 3.4 E 2.8 3.4 3.2 3.4 0 -150" },
	{ 'K', 9, "M 0 0 L 0 14 M 8.4 14 L 0 5.4 M 2.9 8.4 L 9 0" },
	{ 'L', 7.5, "M 0 14 L 0 0 L 7.5 0" },
	{ 'M', 13, "M 0 0 L 0 14 L 6.5 4 L 13 14 L 13 0" },
	{ 'N', 10, "M 0 0 L 0 14 L 10 0 L 10 14" },
	{ 'O', 14, "E 7 7 7 7 0 360" },
	{ 'P', 8.6, "M 0 0 L 0 14 L 4.6 14 E 4.6 10 4 4 90 -90 L 0 6" },
	{ 'Q', 14, "E 7 7 7 7 0 360 M 9 4 L 13 -0.5" },
	{ 'R', 9, "M 0 0 L 0 14 L 4.6 14 E 4.6 10.2 3.8 3.8 90 -90 L 0 6.4 M 4.6 6.4 L 9 0" },
	{ 'S', 9, "E 4.5 10.5 4 3.5 40 270 E 4.5 3.5 4.5 3.5 90 -145" },
	{ 'T', 10, "M 0 14 L 10 14 M 5 14 L 5 0" },
	{ 'U', 10, "M 0 14 L 0 5 E 5 5 5 5 180 360 L 10 14" },
	{ 'V', 11, "M 0 14 L 5.5 0 L 11 14" },
	{ 'W', 17, "M 0 14 L 4.2 0 L 8.5 14 L 12.8 0 L 17 14" },
	{ 'X', 10, "M 0 14 L 10 0 M 10 14 L 0 0" },
	{ 'Y', 10, "M 0 14 L 5 7 L 10 14 M 5 7 L 5 0" },
	{ 'Z', 9, "M 0.4 14 L 9 14 L 0 0 L 9 0" },
	{ '0', 9, "E 4.5 7 4.5 7 0 360" },
	{ '1', 4, "M 0 11 L 3.6 14 L 3.6 0" },
	{ '2', 8.8, "E 4.3 9.7 4.3 4.3 170 -38 L 0 0 L 8.8 0" },
	{ '3', 8, "E 3.8 10.6 3.5 3.4 150 -90 M 3.8 7.2 E 3.8 3.6 4.1 3.6 90 -150" },
	{ '4', 9, "M 6.8 0 L 6.8 14 L 0 4.2 L 9 4.2" },
	{ '5', 8, "M 7.4 14 L 1.4 14 L 0.9 8 E 3.8 4.6 4.2 4.6 133 -150" },
	{ '6', 8.6, "E 4.3 4.3 4.3 4.3 0 360 M 6.6 14 L 0.9 7" },
	{ '7', 8, "M 0 14 L 8 14 L 2.6 0" },
	{ '8', 8.4, "E 4.2 10.6 3.4 3.4 0 360 E 4.2 3.6 4.2 3.6 0 360" },
	{ '9', 8.6, "E 4.3 9.7 4.3 4.3 0 360 M 2 0 L 7.7 7" },
	{ '-', 6, "M 0 5 L 6 5" },
	{ '_', 8, "M 0 -1 L 8 -1" },
	{ '.', 0.6, "M 0.3 0 L 0.3 0.1" },
	{ ',', 1, "M 0.8 0.4 L 0 -2.5" },
	{ ':', 0.6, "M 0.3 0.6 L 0.3 0.7 M 0.3 8 L 0.3 8.1" },
	{ '*', 1, "M 0.5 5 L 0.5 5.1" },
	{ '(', 3, "E 8 6 8 10 127 233" },
	{ ')', 3, "E -5 6 8 10 53 -53" },
	{ '/', 6, "M 0 -2 L 6 15" },
	{ '+', 8, "M 0 5 L 8 5 M 4 9 L 4 1" },
	{ '=', 8, "M 0 7 L 8 7 M 0 3 L 8 3" },
	{ '>', 15, "M 0 5.4 L 15 5.4 M 10.6 9.4 L 15 5.4 L 10.6 1.4" },
};

static const struct glyph *find(char letter)
{
	for (size_t i = 0; i < sizeof(font) / sizeof(*font); i++)
		if (font[i].letter == letter)
			return &font[i];
	return &font[0];
}

struct pen {
	struct path *path;
	float x, y, scale;	/* of the glyph's origin */
	struct point at;
};

static void draw_to(struct pen *pen, float x, float y)
{
	path_line(pen->path, pen->x + pen->at.x * pen->scale, pen->y - pen->at.y * pen->scale,
		  pen->x + x * pen->scale, pen->y - y * pen->scale);
	pen->at = (struct point){ x, y };
}

static void draw_arc(struct pen *pen, const float n[6])
{
	struct path *path = pen->path;
	struct point end;

	path_arc(path, pen->x + n[0] * pen->scale, pen->y - n[1] * pen->scale, n[2] * pen->scale,
		 n[3] * pen->scale, n[4], n[5]);
	end = path->seg[path->n - 1][1];
	pen->at = (struct point){ (end.x - pen->x) / pen->scale, (pen->y - end.y) / pen->scale };
}

static void draw(struct pen *pen, const char *strokes)
{
	float n[6];
	char op;
	int used;

	while (sscanf(strokes, " %c%n", &op, &used) == 1) {
		strokes += used;
		for (int i = 0; i < (op == 'E' ? 6 : 2); i++) {
			sscanf(strokes, "%f%n", &n[i], &used);
			strokes += used;
		}
		if (op == 'M')
			pen->at = (struct point){ n[0], n[1] };
		else if (op == 'L')
			draw_to(pen, n[0], n[1]);
		else
			draw_arc(pen, n);
	}
}

static float advance(char letter, struct style style)
{
	return (find(letter)->width + style.spacing) * style.height / 14;
}

static float text_width(const char *words, struct style style)
{
	float width = -style.spacing * style.height / 14;

	for (; *words; words++)
		width += advance(*words, style);
	return width;
}

void text(struct layer layer, float x, float baseline, const char *words, struct style style, struct ink ink)
{
	if (style.align == CENTRE)
		x -= text_width(words, style) / 2;
	else if (style.align == RIGHT)
		x -= text_width(words, style);
	for (; *words; words++) {
		struct path path = { 0 };
		struct pen pen = { &path, x, baseline, style.height / 14, { 0, 0 } };

		draw(&pen, find(*words)->strokes);
		stroke(layer, &path, style.width, ink);
		path_free(&path);
		x += advance(*words, style);
	}
}
