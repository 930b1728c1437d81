"""From sensors to scene: two encoders fused stage by stage, a BEV map, and the queries that read it."""

from diffdrive.model.perception.backbone import FusionBackbone
from diffdrive.model.perception.neck import SceneNeck

__all__ = ["FusionBackbone", "SceneNeck"]
