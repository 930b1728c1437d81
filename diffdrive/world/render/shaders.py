"""The formula of ``shading`` as GLSL, with the same numbers written in.

llvmpipe runs both sides of every branch, so each group of materials and each kind of light has a program of its own.
"""

from __future__ import annotations

import enum

from diffdrive.world.render import shading as look
from diffdrive.world.render.mesh import Material
from diffdrive.world.render.style import NUM_FACADES


class Group(enum.IntEnum):
    """Materials that share a program, in the order in which they are drawn: what hides much comes first."""

    BODY = 0
    FACADE = 1
    ROAD = 2


def group_of(material: int) -> Group:
    """Which program draws a material."""
    if material in look.ROAD_LIKE:
        return Group.ROAD
    return Group.FACADE if material == Material.FACADE else Group.BODY


def _vec(values: tuple[float, float, float]) -> str:
    return f"vec3({', '.join(f'{v:.7f}' for v in values)})"


_SKY = f"""
uniform vec3 sun, horizon, zenith, sunset; uniform float halo, exposure;
vec3 sky(vec3 d) {{
  float u = sqrt(clamp(d.z, 0., 1.)), t = clamp(dot(d, sun), 0., 1.);
  float t2 = t * t, t4 = t2 * t2, t8 = t4 * t4;
  return mix(horizon + sunset * t4, zenith, u) + halo * t8 * t8 * t8 * vec3(1., .92, .75);
}}
vec4 develop(vec3 k) {{
  k = clamp(k * exposure, 0., 1.);
  vec3 c = {"sqrt(k)" if look.GAMMA == 0.5 else f"pow(k, vec3({look.GAMMA:.6f}))"};
  return vec4(c, dot(c, vec3(.299, .587, .114)));
}}
"""

_NOISE = """
float cell(vec2 q) {
  uint h = uint(int(q.x)) * 73856093u ^ uint(int(q.y)) * 19349663u;
  h = (h ^ (h >> 15)) * 0x2C1B3C6Du; h = (h ^ (h >> 12)) * 0x297A2D39u;
  return float((h ^ (h >> 15)) & 0xFFFFu) / 65536.;
}
float smooth_noise(vec2 q) {
  vec2 i = floor(q), f = q - i;
  f = f * f * (3. - 2. * f);
  return mix(mix(cell(i), cell(i + vec2(1, 0)), f.x), mix(cell(i + vec2(0, 1)), cell(i + vec2(1, 1)), f.x), f.y);
}
"""

_BODY = f"""
void material() {{
  if (m == {Material.PAINT:d}) mirror = vec2({look.MIRROR[Material.PAINT]:.4f});
  else if (m == {Material.GLASS:d}) mirror = vec2({look.MIRROR[Material.GLASS]:.4f});
  mirror.y *= 1. - mirror.x;
  if (m == {Material.LEAF:d}) {{ vec3 q = floor(p * 2.5); b *= .75 + .5 * cell(vec2(q.x + 57. * q.z, q.y)); }}
  else if (m == {Material.SIGN:d}) glow = c * (.4 * lamps / (1. + t / 25.));
}}
"""

_ROAD = f"""
uniform vec4 road; uniform vec2 slabs; uniform float wear, wet; uniform vec3 asphalt;
void material() {{
  float near = clamp(1. - t / {look.GRAIN_FADE_M:.2f}, 0., 1.), grain = cell(floor(p.xy / {look.GRAIN_M:.6f}));
  float stain = smooth_noise(p.xy / {look.STAIN_M:.4f});
  float tone = 1. + (grain - .5) * road.x * near;
  if (m == {Material.ASPHALT:d}) {{
    tone += (stain - .5) * road.y;
    float ridge = abs(smooth_noise(p.xy / {look.CRACK_M:.4f} + vec2(17, 5)) - .5);
    vec2 q = floor(p.xy / {look.REPAIR_M:.4f});
    float chance = cell(q + vec2(911, 0));
    vec2 r = fract(chance * vec2(61., 113.)), at = abs(p.xy - (q + .3 + .4 * r) * {look.REPAIR_M:.4f});
    if (chance < road.w && at.x < .6 + 2.4 * r.y && at.y < .6 + 2.4 * r.x) tone *= .68 + .5 * r.x;
    if (ridge < .007 && stain > 1. - road.z) tone *= 1. - .45 * clamp(near * 1.5, 0., 1.);
  }} else tone += (stain - .5) * .15;
  if (m == {Material.PAVING:d}) {{
    vec2 q = p.xy / slabs.x, f = fract(q);
    float joint = min(f.x, f.y) * slabs.x < .04 ? slabs.y : 0.;
    tone *= 1. + ((cell(floor(q)) - .5) * .18 - joint) * clamp(near * 1.6, 0., 1.);
  }}
  if (m == {Material.GROUND:d}) tone *= 1. + .5 * (smooth_noise(p.xy / {look.LAWN_M:.4f} + vec2(31, 0)) - .5);
  b *= tone;
  if (m == {Material.MARKING:d})
    b = mix(b, asphalt, clamp((wear * (.5 + stain) - grain) * 6. * near + wear * (1. - near) * .7, 0., .85));
  float water = m == {Material.GROUND:d} ? 0. : wet, puddle = clamp((stain - .45) * 4., 0., 1.);
  b *= 1. - .5 * water;
  mirror = water * vec2(.10 * puddle, .35 + .35 * puddle);
}}
"""

_FACADE = f"""
in float along; uniform vec4 facades[{2 * NUM_FACADES}]; uniform float lit;
void material() {{
  int pattern = kind % {NUM_FACADES};
  vec4 first = facades[2 * pattern], second = facades[2 * pattern + 1];
  float k = float(kind);
  vec2 at = vec2(along, p.z / {look.FLOOR_M:.4f}), f = fract(at), q = floor(at);
  bool street = q.y < 1.;
  bool shop = street && cell(vec2(floor(along / 4. + .01), k + 3.)) < second.z;
  bool door = street && !shop && cell(vec2(q.x, k + 71.)) < .22;
  float margin = shop ? .05 : door ? .32 : first.x;
  float sill = shop ? .14 : door ? 0. : first.y, head = shop ? .70 : door ? .68 : first.z;
  float edge = min(min(f.x - margin, 1. - margin - f.x) * {look.WINDOW_M:.4f},
    min(f.y - sill, head - f.y) * {look.FLOOR_M:.4f});
  bool bar = abs(f.x - .5) < second.x && !shop && !door, pane = edge > 0. && !bar && !door;
  float tone = cell(q + vec2(0, 40. * k));
  float near = clamp(1. - t / 45., 0., 1.), x = along * {look.WINDOW_M:.4f}, row = floor(p.z / .2);
  float texture = first.w < .5 ? (smooth_noise(vec2(x * .8, p.z * .5)) - .5) * .2
    : first.w < 1.5 ? (cell(vec2(floor(x / .45 + .5 * mod(row, 2.)), row)) - .5) * .35 * near
    : fract(p.z / .24) > .86 ? -.25 * near : 0.;
  b *= (1. + texture) * (.78 + .22 * clamp(p.z / 3., 0., 1.));
  if (f.y > .95 && !street && second.w > .5) b *= .78;
  if (shop && f.y > .73 && f.y < .95) b = fract(tone * vec3(1., 61., 113.)) * .5 + .04;
  if (edge > -.12 && !shop) b = vec3(door ? .10 : second.y);
  if (pane) {{
    b = vec3(.05, .065, .085) + vec3(.16, .15, .12) * tone * tone * tone;
    mirror = vec2(.14, .5);
    if (tone < lit || (shop && lit > .1)) glow = vec3(.85, .60, .30) * (.35 + 1.2 * tone);
  }}
}}
"""

_SHADOWS = """
uniform sampler2DShadow depths; uniform mat4 light_from_town; uniform float shade;
float in_sun(vec3 q) {
  q = (light_from_town * vec4(q, 1)).xyz * .5 + .5;
  bool inside = all(greaterThan(q, vec3(0))) && all(lessThan(q, vec3(1)));
  return inside ? mix(shade, 1., texture(depths, vec3(q.xy, q.z - .0008))) : 1.;
}
"""

_LAMPS = f"""
uniform sampler2D street; uniform vec3 street_frame, ego_pose;
vec3 lamplight() {{
  float level = texture(street, (p.xy - street_frame.xy) * street_frame.z).r * exp(-max(p.z, 0.) / 4.);
  vec3 k = level * .8 * {_vec(look.LAMP_COLOUR)};
  vec2 h = vec2(cos(ego_pose.z), sin(ego_pose.z)), s = p.xy - ego_pose.xy;
  float x = dot(h, s) - {look.BEAM_X_M:.4f}, y = h.x * s.y - h.y * s.x;
  float side = clamp(1. - abs(y) / (.42 * max(x, 0.) + 1.6), 0., 1.);
  float beam = x > 0. ? side * clamp(x * .5, 0., 1.) / (1. + x * x / 300.) * clamp(1.6 - p.z / 1.4, .15, 1.) : 0.;
  return lamps * (k + .75 * beam * {_vec(look.BEAM_COLOUR)});
}}
"""

_MAIN = f"""
void main() {{
  vec3 d = p - eye; t = length(d); d /= t;
  vec3 N = normalize(n); if (dot(N, d) > 0.) N = -N;
  b = c; mirror = vec2(0); glow = vec3(0);
  material();
  float facing = clamp(dot(N, sun), 0., 1.);
  facing *= clamp(facing * 5., 0., 1.) * in_sun(p + N * .10);
  vec3 k = b * (mix(ambient_ground, ambient_sky, (N.z + 1.) / 2.) + sun_colour * facing + lamplight()) + glow;
  float e = 1. - abs(dot(d, N)); e *= e;
  k = mix(k, sky(reflect(d, N)), mirror.x + mirror.y * e * e);
  if (m == {Material.LAMP:d}) k = min(c * lamp_gain, 1.6);
  o = develop(mix(sky(d), k, exp(-t / fog_m)));
}}
"""


def surface_fragment(group: Group, *, has_shadows: bool, is_night: bool) -> str:
    """The fragment shader for one group of materials under one kind of light."""
    head = """#version 330
in vec3 p; flat in vec3 n; flat in vec3 c; flat in int m; flat in int kind;
uniform vec3 eye, sun_colour, ambient_sky, ambient_ground; uniform float lamps, lamp_gain, fog_m;
out vec4 o;
float t; vec3 b, glow; vec2 mirror;
"""
    material = {Group.BODY: _BODY, Group.FACADE: _FACADE, Group.ROAD: _ROAD}[group]
    shadows = _SHADOWS if has_shadows else "float in_sun(vec3 q) { return 1.; }\n"
    night = _LAMPS if is_night else "vec3 lamplight() { return vec3(0); }\n"
    return head + _SKY + _NOISE + material + shadows + night + _MAIN


SURFACE_VERTEX = """#version 330
in vec3 P; in vec4 N; in vec4 C;
uniform mat4 clip_from_town;
out vec3 p; flat out vec3 n; flat out vec3 c; flat out int m; flat out int kind; out float along;
void main() {
  int code = int(C.a * 255. + .5);
  p = P; n = N.xyz; along = N.w; c = C.rgb; m = code & 15; kind = code >> 4; gl_Position = clip_from_town * vec4(P, 1);
}
"""

SCREEN_VERTEX = """#version 330
out vec2 at;
void main() { at = vec2((gl_VertexID << 1) & 2, gl_VertexID & 2) * 2. - 1.; gl_Position = vec4(at, .9999999, 1); }
"""

SKY_FRAGMENT = (
    "#version 330\n"
    + _SKY
    + _NOISE
    + """
in vec2 at; uniform mat3 town_from_camera; uniform vec4 lens;
uniform vec3 cloud_colour; uniform float clouds, cover; uniform vec2 drift;
out vec4 o;
void main() {
  vec3 d = normalize(town_from_camera * vec3(at.x * lens.x + lens.z, at.y * lens.y + lens.w, 1.));
  float z = clamp(d.z, 0., 1.);
  vec2 q = d.xy / (z + .12) * 1.3 + drift;
  float noise = .57 * smooth_noise(q) + .29 * smooth_noise(q * 2.1) + .14 * smooth_noise(q * 4.3);
  float share = clamp((noise - 1. + cover + .25) / .3, 0., 1.) * clouds * clamp(z * 5., 0., 1.);
  o = develop(mix(sky(d), cloud_colour, share));
}
"""
)

SMOOTH_FRAGMENT = """#version 330
uniform sampler2D sharp;
out vec4 o;
// Where brightness jumps, average along the edge and not across it: stairs become slopes, and detail stays.
void main() {
  ivec2 q = ivec2(gl_FragCoord.xy), last = textureSize(sharp, 0) - 1;
  vec4 here = texelFetch(sharp, q, 0);
  vec4 east = texelFetch(sharp, min(q + ivec2(1, 0), last), 0), west = texelFetch(sharp, max(q - ivec2(1, 0), ivec2(0)), 0);
  vec4 north = texelFetch(sharp, min(q + ivec2(0, 1), last), 0), south = texelFetch(sharp, max(q - ivec2(0, 1), ivec2(0)), 0);
  vec2 slope = vec2(east.a - west.a, north.a - south.a);
  float jump = length(slope), upright = slope.x * slope.x / (jump * jump + 1e-6);
  vec3 beside = mix(east.rgb + west.rgb, north.rgb + south.rgb, upright) * .5;
  o = vec4(mix(here.rgb, beside, .6 * clamp((jump - .06) * 8., 0., 1.)), 1.);
}
"""

SHADOW_VERTEX = """#version 330
in vec3 P; uniform mat4 light_from_town;
void main() { gl_Position = light_from_town * vec4(P, 1); }
"""

SHADOW_FRAGMENT = "#version 330\nvoid main() {}\n"
