# bpf_skeleton(TARGET SOURCE [NAME name] [CPU version] [DEFINITIONS def...])
#
# Compiles SOURCE for the BPF machine and generates its libbpf skeleton,
# NAME.skel.h with struct NAME_bpf. NAME is that of the source, x for x.bpf.c,
# unless given. CPU is the instruction set, v2 unless given. TARGET is an interface
# library: link it to include the header. Headers are tracked by the compiler's own depfile.
function(bpf_skeleton target source)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "NAME;CPU" "DEFINITIONS")
  find_program(CLANG NAMES clang clang-16 clang-15 clang-14 REQUIRED)
  find_program(BPFTOOL bpftool PATHS /usr/sbin /usr/local/sbin REQUIRED)
  get_filename_component(name ${source} NAME_WE)
  if(arg_NAME)
    set(name ${arg_NAME})
  endif()
  if(NOT arg_CPU)
    set(arg_CPU v2)
  endif()
  list(TRANSFORM arg_DEFINITIONS PREPEND -D)
  set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}.bpf.o)
  set(skeleton ${CMAKE_CURRENT_BINARY_DIR}/include/${name}.skel.h)

  if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    set(arch arm64)
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|amd64|AMD64")
    set(arch x86)
  else()
    message(FATAL_ERROR "bpf_skeleton: no BPF register names for ${CMAKE_SYSTEM_PROCESSOR}")
  endif()

  add_custom_command(
    OUTPUT ${object}
    COMMAND ${CLANG} -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter
            -target bpf -mcpu=${arg_CPU} -D__TARGET_ARCH_${arch} ${arg_DEFINITIONS}
            -I ${CMAKE_CURRENT_SOURCE_DIR}/include -I ${CMAKE_CURRENT_SOURCE_DIR}
            -idirafter /usr/include/${CMAKE_LIBRARY_ARCHITECTURE}
            -MD -MF ${object}.d -MT ${object}
            -c ${CMAKE_CURRENT_SOURCE_DIR}/${source} -o ${object}
    DEPENDS ${source}
    DEPFILE ${object}.d
    COMMENT "Compiling ${source} for BPF" VERBATIM)
  add_custom_command(
    OUTPUT ${skeleton}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_CURRENT_BINARY_DIR}/include
    COMMAND sh -c "\"$1\" gen skeleton \"$2\" name \"$3\" > \"$4\"" skeleton
            ${BPFTOOL} ${object} ${name}_bpf ${skeleton}
    DEPENDS ${object}
    COMMENT "Generating ${name}.skel.h" VERBATIM)

  add_custom_target(${target}_files DEPENDS ${skeleton})
  add_library(${target} INTERFACE)
  add_dependencies(${target} ${target}_files)
  target_include_directories(${target} SYSTEM INTERFACE ${CMAKE_CURRENT_BINARY_DIR}/include)
endfunction()
