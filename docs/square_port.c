/* SPDX-License-Identifier: 0BSD
 *
 * square_port: a program that reads bytes, and writes the square of each as a line of text.
 *
 * Compile it:
 *
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -o square_port square_port.c
 *
 * square_port.erl starts it and says how it is used.
 */
#include <stdio.h>

int main(void)
{
    int n;
    while ((n = getchar()) != EOF) {   /* EOF when the port is closed */
        printf("%d\n", n * n);
        fflush(stdout);
    }
    return 0;
}
