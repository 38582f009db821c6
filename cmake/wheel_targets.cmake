# SPDX-License-Identifier: Apache-2.0
# The PyPI wheels of ROS 2 export Python and NumPy include folders of the machine that built them. CMake refuses a
# target whose include folders do not exist, so take those folders out. Does nothing on a distribution's ROS 2.
function(mend_wheel_targets)
  get_property(imported DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(target IN LISTS imported)
    get_target_property(folders ${target} INTERFACE_INCLUDE_DIRECTORIES)
    if(folders MATCHES "/opt/python/")
      list(FILTER folders EXCLUDE REGEX "^/opt/python/")
      set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${folders}")
    endif()
  endforeach()
endfunction()
