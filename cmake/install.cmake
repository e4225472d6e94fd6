# `make install` and the Debian package: the command, the libtorch it was built with, manifests with their models, documents.
# Inside the prefix paths are as in the sources, so the shipped manifests find their models.
include(GNUInstallDirs)

install(TARGETS virga RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
set(private ${CMAKE_INSTALL_LIBDIR}/virga)
set_target_properties(virga PROPERTIES INSTALL_RPATH "$ORIGIN/../${private}/torch/lib")

# libtorch finds its own libraries relative to itself: they keep their places.
foreach(lib libtorch_cpu.so libc10.so libgomp.so.1)
  install(FILES ${torch_dir}/lib/${lib} DESTINATION ${private}/torch/lib)
endforeach()
file(GLOB torch_cuda ${torch_dir}/../nvidia/cu13/lib/libcudart.so.* ${torch_dir}/../nvidia/cu13/lib/libcupti.so.*)
install(FILES ${torch_cuda} DESTINATION ${private}/nvidia/cu13/lib)
if(VIRGA_CUDA)
  file(GLOB torch_cuda ${torch_dir}/lib/libtorch_cuda*.so ${torch_dir}/lib/libc10_cuda.so ${torch_dir}/lib/libtorch_nvshmem.so
    ${torch_dir}/lib/libcaffe2_nvrtc.so)
  install(FILES ${torch_cuda} DESTINATION ${private}/torch/lib)
  install(DIRECTORY ${torch_dir}/../nvidia DESTINATION ${private} FILES_MATCHING PATTERN "*.so*")
endif()
file(GLOB torch_license ${torch_dir}/LICENSE ${torch_dir}/NOTICE)
install(FILES ${torch_license} DESTINATION ${CMAKE_INSTALL_DOCDIR}/libtorch)

install(DIRECTORY deploy/manifests DESTINATION ${CMAKE_INSTALL_DATADIR}/virga/deploy)
install(FILES deploy/manifest.schema.json DESTINATION ${CMAKE_INSTALL_DATADIR}/virga/deploy)
install(DIRECTORY models/zoo DESTINATION ${CMAKE_INSTALL_DATADIR}/virga/models)
install(FILES README.md docs/api.md docs/deploying.md docs/manifest.md docs/metrics.md docs/models.md docs/two-machines.md
  DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES deploy/systemd/virga-node@.service DESTINATION lib/systemd/system)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME virga)
set(CPACK_PACKAGE_CONTACT "virga <virga@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "cloud and edge answer one LLM request together")
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/package)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ${CMAKE_INSTALL_BINDIR}/virga)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_COMPRESSION_TYPE zstd)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${torch_dir}/lib ${torch_dir}/../nvidia/cu13/lib)
include(CPack)
