"""The one adapter to py123d 0.7.0: 123D logs and maps on disk <-> the values of ``diffdrive.scene``, in the world frame.

Nothing else in the project imports py123d, and these modules import it only when they are used: it is an extra
(``pip install 'diffdrive[data]'``) and takes a second or two to load.
"""
