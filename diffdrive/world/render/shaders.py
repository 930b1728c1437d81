"""The formula of ``shading`` as GLSL, with the same numbers written in."""

from __future__ import annotations

import numpy as np

from diffdrive.world.render import shading as look
from diffdrive.world.render.mesh import Material


def _vec(values: np.ndarray) -> str:
    return f"vec3({', '.join(f'{v:.7f}' for v in values)})"


_COMMON = f"""#version 330
const vec3 SUN = {_vec(look.SUN)};
vec3 sky(vec3 d) {{
  float u = sqrt(clamp(d.z, 0., 1.));
  float g = pow(clamp(dot(d, SUN), 0., 1.), 24.) * .35;
  return mix({_vec(look.SKY_HORIZON)}, {_vec(look.SKY_ZENITH)}, u) + g * vec3(1., .92, .75);
}}
vec4 develop(vec3 k) {{ return vec4(pow(clamp(k * {look.EXPOSURE:.6f}, 0., 1.), vec3({look.GAMMA:.6f})), 1.); }}
"""

SURFACE_VERTEX = """#version 330
in vec3 P; in vec4 N; in vec4 C;
uniform mat4 clip_from_town;
out vec3 p; flat out vec3 n; flat out vec3 c; flat out int m;
void main() { p = P; n = N.xyz; c = C.rgb; m = int(C.a * 255. + .5); gl_Position = clip_from_town * vec4(P, 1); }
"""

SURFACE_FRAGMENT = (
    _COMMON
    + f"""
in vec3 p; flat in vec3 n; flat in vec3 c; flat in int m;
uniform vec3 eye; uniform sampler2DShadow depths; uniform mat4 light_from_town;
out vec4 o;
float cell(vec2 q) {{
  uint h = uint(int(q.x)) * 73856093u ^ uint(int(q.y)) * 19349663u;
  h = (h ^ (h >> 15)) * 0x2C1B3C6Du; h = (h ^ (h >> 12)) * 0x297A2D39u;
  return float((h ^ (h >> 15)) & 0xFFFFu) / 65536.;
}}
void main() {{
  vec3 d = p - eye; float t = length(d); d /= t;
  vec3 N = normalize(n); if (dot(N, d) > 0.) N = -N;
  float sun = clamp(dot(N, SUN), 0., 1.);
  if (sun > 0.) {{
    vec3 q = (light_from_town * vec4(p + N * .10, 1)).xyz * .5 + .5;
    if (all(greaterThan(q, vec3(0))) && all(lessThan(q, vec3(1))))
      sun *= mix({look.SHADE:.4f}, 1., texture(depths, vec3(q.xy, q.z - .0008)));
  }}
  vec3 b = c; float mirror = 0.;
  if (m == {Material.GROUND:d}) {{
    float fine = (cell(floor(p.xy / {look.SPECKLE_M:.6f})) - .5) * {look.SPECKLE:.4f}
      * clamp(1. - t / {look.SPECKLE_FADE_M:.2f}, 0., 1.);
    b *= 1. + fine + (cell(floor(p.xy / {look.PATCH_M:.4f})) - .5) * {look.PATCH:.4f};
  }} else if (m == {Material.FACADE:d}) {{
    vec2 w = vec2((p.y * N.x - p.x * N.y) / {look.WINDOW_M:.4f}, p.z / {look.FLOOR_M:.4f});
    vec2 f = fract(w); bool street = w.y < 1.;
    float side = street ? .10 : .24;
    if (f.x > side && f.x < 1. - side && f.y > (street ? .16 : .30) && f.y < (street ? .80 : .82)) {{
      float tone = cell(floor(w));
      b = vec3(.05, .065, .085) + vec3(.16, .15, .12) * tone * tone * tone;
    }} else if (f.y > .95 && !street) b *= .8;
  }} else if (m == {Material.PAINT:d}) mirror = {look.MIRROR[Material.PAINT]:.4f};
  else if (m == {Material.GLASS:d}) mirror = {look.MIRROR[Material.GLASS]:.4f};
  vec3 k = b * (mix({_vec(look.AMBIENT_GROUND)}, {_vec(look.AMBIENT_SKY)}, (N.z + 1.) / 2.) + {_vec(look.SUN_COLOUR)} * sun);
  if (mirror > 0.) {{
    float e = 1. - abs(dot(d, N));
    mirror += (1. - mirror) * mirror * e * e * e;
    k = mix(k, sky(reflect(d, N)), mirror);
  }}
  if (m == {Material.LAMP:d}) k = c * {look.LAMP_GAIN:.4f};
  o = develop(mix(sky(d), k, exp(-t / {look.FOG_M:.3f})));
}}
"""
)

SKY_VERTEX = """#version 330
out vec2 at;
void main() { at = vec2((gl_VertexID << 1) & 2, gl_VertexID & 2) * 2. - 1.; gl_Position = vec4(at, .9999999, 1); }
"""

SKY_FRAGMENT = (
    _COMMON
    + """
in vec2 at; uniform mat3 town_from_camera; uniform vec4 lens;
out vec4 o;
void main() { o = develop(sky(normalize(town_from_camera * vec3(at.x * lens.x + lens.z, at.y * lens.y + lens.w, 1.)))); }
"""
)

SHADOW_VERTEX = """#version 330
in vec3 P; uniform mat4 light_from_town;
void main() { gl_Position = light_from_town * vec4(P, 1); }
"""

SHADOW_FRAGMENT = "#version 330\nvoid main() {}\n"
