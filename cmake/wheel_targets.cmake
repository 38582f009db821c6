# SPDX-License-Identifier: Apache-2.0
# To be called after rosidl_generate_interfaces() where ROS 2 comes from wheels; harmless with a distribution's.
#
# The wheels' targets export Python and NumPy include folders of the machine that built them, and CMake refuses a
# target whose include folders do not exist: they are taken out. Our own target would do the same to others, and CMake
# refuses a NumPy folder in a virtual environment inside the source tree: it is kept for building only.
function(mend_wheel_targets)
  get_property(imported DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(target IN LISTS imported)
    get_target_property(folders ${target} INTERFACE_INCLUDE_DIRECTORIES)
    if(folders MATCHES "/opt/python/")
      list(FILTER folders EXCLUDE REGEX "^/opt/python/")
      set_target_properties(${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${folders}")
    endif()
  endforeach()

  set(own ${PROJECT_NAME}__rosidl_generator_py)
  if(TARGET ${own})
    get_target_property(folders ${own} INTERFACE_INCLUDE_DIRECTORIES)
    list(TRANSFORM folders REPLACE "^(.*/site-packages/.*)$" "$<BUILD_INTERFACE:\\1>")
    set_target_properties(${own} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${folders}")
  endif()
endfunction()
