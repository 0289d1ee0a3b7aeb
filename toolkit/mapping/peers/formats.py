"""Stands in until every room imports from `toolkit.mapping.formats`."""

from toolkit.mapping.formats import AUTO as AUTO
from toolkit.mapping.formats import MAPPING_FORMATS as MAPPING_FORMATS
from toolkit.mapping.formats import MappingFormat as MappingFormat
from toolkit.mapping.formats import detect_format as detect_format
from toolkit.mapping.formats import find_format as find_format
from toolkit.mapping.formats import mapping_from_text as mapping_from_text
from toolkit.mapping.formats import mapping_to_text as mapping_to_text
from toolkit.mapping.formats import read_mapping_text as read_mapping_text
