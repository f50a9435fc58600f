# What `cmake --install` puts where, and the packages made of it: `cpack -G DEB --config build/release/CPackConfig.cmake`.
#
#   program   bin/forgecheck, and the header of plugins in include/forgecheck
#   golden    share/forgecheck/golden, which the program finds from where it lies itself
#   simt      the emulator: headers, library and the CMake package of find_package(forgecheck), forgecheck::simt
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

install(TARGETS forgecheck RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT program)
install(FILES ${PROJECT_SOURCE_DIR}/harness/backend/forgecheck_plugin.h
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/forgecheck COMPONENT program)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/golden/ DESTINATION ${CMAKE_INSTALL_DATADIR}/forgecheck/golden COMPONENT golden)

# What the program says of itself.
set(pages ${PROJECT_BINARY_DIR}/share)
add_custom_command(OUTPUT ${pages}/forgecheck.1 ${pages}/forgecheck.bash DEPENDS forgecheck
                   COMMAND ${CMAKE_COMMAND} -E make_directory ${pages}
                   COMMAND forgecheck manual > ${pages}/forgecheck.1
                   COMMAND forgecheck completion > ${pages}/forgecheck.bash)
add_custom_target(forgecheck_pages ALL DEPENDS ${pages}/forgecheck.1 ${pages}/forgecheck.bash)
install(FILES ${pages}/forgecheck.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT pages)
install(FILES ${pages}/forgecheck.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME forgecheck
        COMPONENT pages)

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/forgecheck)
set(simt_targets forgecheck_simt)
if(TARGET forgecheck_simt_check)
  list(APPEND simt_targets forgecheck_simt_check)
endif()
install(TARGETS ${simt_targets} EXPORT forgecheckTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT simt)
# In a folder of their own: they have CUDA's names.
install(DIRECTORY ${PROJECT_SOURCE_DIR}/gpu/simt/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/forgecheck/simt
        COMPONENT simt)
install(EXPORT forgecheckTargets NAMESPACE forgecheck:: DESTINATION ${package_folder} COMPONENT simt)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/forgecheckConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/forgecheckConfig.cmake INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/forgecheckConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/forgecheckConfig.cmake ${PROJECT_BINARY_DIR}/forgecheckConfigVersion.cmake
        DESTINATION ${package_folder} COMPONENT simt)

set(CPACK_PACKAGE_NAME forgecheck)
set(CPACK_PACKAGE_VENDOR "forgecheck")
set(CPACK_PACKAGE_CONTACT "the forgecheck maintainers <forgecheck@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Reference and verification for transformer models")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_STRIP_FILES ON)
include(CPack)
