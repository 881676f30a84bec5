#!/bin/sh
# build.sh DEBIAN SOURCE OUT: makes OUT the root folder of a system built on musl, with what the musl build of polynic needs in it.
# DEBIAN has Debian's packages musl, musl-dev and musl-tools unpacked, each under its name; SOURCE is the archive of GCC's source of the same
# major version as the machine's g++, out of which libstdc++ is built against musl: Debian has no such package. The unwinder is the machine's;
# what it asks glibc for is answered with "not found", so an exception that nobody catches at once ends the process. Bun throws none.
set -eu
debian=$1 source=$2 out=$3
work=$out/build
mkdir -p "$work/sys" "$work/x/libstdc++-v3" "$work/x/libgcc" "$out/lib" "$out/usr/lib"
cd "$work"
for name in musl musl-dev musl-tools; do cp -a "$debian/$name/." sys/; done
library=$(dirname "$(find sys -name musl-gcc.specs)")
loader=$(find sys/lib -name 'ld-musl-*.so.1')
cp -L "$loader" "$out/lib/"
ln -s "$work/$loader" "$library/libc.so"
sed "s#/usr/include/#$work/sys/usr/include/#g; s#/usr/lib/#$work/sys/usr/lib/#g" "$library/musl-gcc.specs" > specs
for tool in gcc g++; do
  printf '#!/bin/sh\nexec %s "$@" -specs=%s/specs\n' "$tool" "$work" > "musl-$tool"
  chmod +x "musl-$tool"
done

tar -xf "$source" --strip-components=1 --wildcards '*/libstdc++-v3' '*/libgcc' '*/config' '*/include' '*/libiberty' '*/gcc/BASE-VER' \
  '*/gcc/DATESTAMP' '*/gcc/DEV-PHASE' '*/config.sub' '*/config.guess' '*/install-sh' '*/missing' '*/ltmain.sh' '*/libtool*' '*/lt~*' \
  '*/move-if-change' '*/mkinstalldirs' '*/depcomp' '*/config-ml.in'
cp libgcc/gthr-posix.h x/libgcc/gthr-default.h
printf 'int _dl_find_object(void *address, void *result) { (void)address; (void)result; return -1; }\n' > none.c
./musl-gcc -fPIC -c none.c

cd x/libstdc++-v3
machine=$(uname -m)
CC=$work/musl-gcc CXX=$work/musl-g++ CFLAGS=-O1 CXXFLAGS=-O1 "$work/libstdc++-v3/configure" --build="$machine-linux-gnu" \
  --host="$machine-linux-musl" --disable-multilib --disable-nls --disable-libstdcxx-pch --disable-symvers --enable-shared --disable-static \
  --enable-libstdcxx-time --disable-libstdcxx-backtrace
unwinder=$(dirname "$(gcc -print-libgcc-file-name)")
make -j "$(nproc)"
rm -rf src/libstdc++.la src/.libs/libstdc++.so*
make -C src libstdc++.la LDFLAGS="-Wl,--whole-archive,$unwinder/libgcc_eh.a,--no-whole-archive $work/none.o" LIBS="$unwinder/libgcc.a"
cp -L src/.libs/libstdc++.so.6 "$out/usr/lib/"
rm -rf "$work"
