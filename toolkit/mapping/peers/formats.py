"""Stands in until every room imports from `toolkit.mapping.peers`."""

from toolkit.mapping.peers import AUTO as AUTO
from toolkit.mapping.peers import MAPPING_FORMATS as MAPPING_FORMATS
from toolkit.mapping.peers import MappingFormat as MappingFormat
from toolkit.mapping.peers import detect_format as detect_format
from toolkit.mapping.peers import find_format as find_format
from toolkit.mapping.peers import mapping_from_text as mapping_from_text
from toolkit.mapping.peers import mapping_to_text as mapping_to_text
from toolkit.mapping.peers import read_mapping_text as read_mapping_text
